package wire

// UploadRequest begins an upload, or names one. One file may be named by Name, Size and Digest instead of Files.
type UploadRequest struct {
	ID         string            `json:"id,omitempty"` // show, complete, remove
	Tenant     string            `json:"tenant,omitempty"`
	Name       string            `json:"name,omitempty"`
	Size       int64             `json:"size,omitempty"`
	Digest     string            `json:"digest,omitempty"`
	Files      []UploadFile      `json:"files,omitempty"`
	ChunkBytes int64             `json:"chunkBytes,omitempty"` // what the client would like; the answer decides
	Digests    map[string]string `json:"digests,omitempty"`    // complete: by the name that was given
}

// UploadFile is one file of an upload. Name is foreign text.
type UploadFile struct {
	N       int    `json:"n"`
	Name    string `json:"name"` // as the sender calls it, with its folders
	Size    int64  `json:"size"`
	Digest  string `json:"digest,omitempty"` // asked for: expected; of a complete upload: found
	First   int64  `json:"first"`            // its first chunk
	Chunks  int64  `json:"chunks"`
	Ignored bool   `json:"ignored,omitempty"` // no part of a bundle: it is not sent
}

// UploadChunk is a chunk in a JSON body.
type UploadChunk struct {
	ID     string `json:"upload_id"`
	Tenant string `json:"tenant,omitempty"`
	Index  int64  `json:"chunk_index"`
	Total  int64  `json:"total_chunks,omitempty"` // must be right when it is given
	Data   []byte `json:"data"`                   // base64
}

// Upload is how far an upload is.
type Upload struct {
	ID         string       `json:"id"`
	Tenant     string       `json:"tenant"`
	By         string       `json:"by"`
	State      string       `json:"state"` // open, complete
	ChunkBytes int64        `json:"chunkBytes"`
	Chunks     int64        `json:"chunks"`
	Have       string       `json:"have"`  // the chunks that are there: "0-41,43"
	Bytes      int64        `json:"bytes"` // of them
	Total      int64        `json:"total"`
	Files      []UploadFile `json:"files,omitempty"`
	Path       string       `json:"path,omitempty"` // of a complete one: the medium it became
	Sentence   string       `json:"sentence"`
	CreatedAt  string       `json:"createdAt"`
	Expires    string       `json:"expires"` // when it is removed, if nothing happens to it
}

// Uploads is the answer of uploads/list.
type Uploads struct {
	Uploads []Upload `json:"uploads"`
	Quota   int64    `json:"quota"` // bytes that the uploads of one tenant may take
	Used    int64    `json:"used"`
}

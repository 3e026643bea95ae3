package wire

// Settings is the answer of settings/show: what is in force and where it came from. Nothing of it is secret.
type Settings struct {
	DataDir  string    `json:"dataDir"`
	Settings []Setting `json:"settings"`
}

// Setting is one effective value.
type Setting struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Source   string `json:"source"` // default, a file, a variable, a flag
	Variable string `json:"variable"`
	Help     string `json:"help"`
}

// Shelf is the answer of runs/files: the files of a finished bundle, as a medium gets them.
type Shelf struct {
	Run   string      `json:"run"`
	Name  string      `json:"name"`
	Files []ShelfFile `json:"files"`
}

// ShelfFile is one of them. Digest says what was signed; the bytes are read again when they are asked for.
type ShelfFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

// ShelfRequest names a file of a run.
type ShelfRequest struct {
	ID   string `json:"id"`
	File string `json:"file,omitempty"`
}

// DeliveryRequest says how often a stick arrives, like "14d".
type DeliveryRequest struct {
	Every string `json:"every"`
}

// Rhythm is how often a stick arrives, for feeds without a rhythm of their own.
type Rhythm struct {
	Every int64 `json:"everySeconds"`
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) jobsCmd() *cobra.Command {
	var q wire.JobRequest
	list := command("list", "list what runs, what waits to run, and what ran", 0, func([]string) error {
		jobs, err := call[wire.Jobs](a, "jobs/list", q)
		if err != nil {
			return err
		}
		return a.show(jobs, func(w io.Writer) {
			var rows [][]string
			for _, j := range jobs.Jobs {
				rows = append(rows, []string{j.ID, j.Action, stateOf(j), j.By, j.CreatedAt, j.Subject})
			}
			table(w, "ID ACTION STATE BY STARTED ABOUT", rows)
			if jobs.Next != "" {
				a.say("More: %s", a.typed("jobs", "list", "--before", jobs.Next))
			}
		})
	})
	list.Flags().StringVar(&q.State, "state", "", "pending, running, succeeded, failed, cancelled, or unfinished")
	list.Flags().StringVar(&q.Before, "before", "", "older than this one")
	list.Flags().IntVar(&q.Limit, "limit", 0, "how many, at most 200")
	var follow bool
	start := command("start ACTION [REQUEST]", "start a long action, like import/run '{\"path\":\"/media/stick\"}', that goes on when this command has ended", -1, func(args []string) error {
		if len(args) > 2 {
			return usage(fmt.Errorf("accepts an action and a request, received %d arguments", len(args)))
		}
		q := wire.JobRequest{Action: args[0]}
		if len(args) == 2 {
			q.Request = json.RawMessage(args[1])
			if !json.Valid(q.Request) {
				return code.New(code.BadUsage, "the request is no JSON").Do("See sallyport api for what each action takes.")
			}
		}
		j, err := call[wire.Job](a, "jobs/start", q)
		if err != nil {
			return err
		}
		if follow {
			return a.watchJob(j.ID)
		}
		return a.show(j, func(w io.Writer) {
			fmt.Fprintln(w, j.ID)
			a.say("It goes on by itself. Follow it: %s", a.typed("jobs", "watch", j.ID))
		})
	})
	start.Flags().BoolVar(&follow, "watch", false, "follow it until it has ended")
	return family("jobs", "long tasks of the daemon, which go on when whoever asked has left", list, start,
		command("show ID", "show one job: how far it is, what it said, its result", 1, func(args []string) error {
			j, err := call[wire.Job](a, "jobs/show", wire.JobRequest{ID: args[0]})
			if err != nil {
				return err
			}
			return a.show(j, func(w io.Writer) { showJob(w, j) })
		}),
		command("watch ID", "follow a job until it has ended; the exit status is that of its action", 1, func(args []string) error { return a.watchJob(args[0]) }),
		command("log ID", "print the log of a job", 1, func(args []string) error {
			log, err := call[wire.JobLog](a, "jobs/log", wire.JobRequest{ID: args[0]})
			if err != nil {
				return err
			}
			return a.show(log, func(w io.Writer) {
				for line := range strings.Lines(log.Text) {
					fmt.Fprintln(w, clean(strings.TrimSuffix(line, "\n")))
				}
			})
		}),
		command("cancel ID", "end a job as soon as what it does lets go", 1, func(args []string) error {
			j, err := call[wire.Job](a, "jobs/cancel", wire.JobRequest{ID: args[0]})
			if err != nil {
				return err
			}
			return a.show(j, func(w io.Writer) { fmt.Fprintln(w, stateOf(j)) })
		}))
}

// watchJob follows a job; what its action says at the end is the end of the command.
func (a *app) watchJob(id string) error {
	j, err := stream[wire.Job](a, "jobs/watch", wire.JobRequest{ID: id})
	if j == nil {
		return err
	}
	return a.join(j, func(w io.Writer) { showJob(w, *j) }, err)
}

// stateOf is the state of a job in a word or two.
func stateOf(j wire.Job) string {
	switch {
	case j.Position > 0:
		return fmt.Sprintf("waits, number %d", j.Position)
	case j.Progress != nil && j.Progress.TotalBytes > 0:
		return fmt.Sprintf("%s, %d %%", j.State, 100*min(j.Progress.Bytes, j.Progress.TotalBytes)/j.Progress.TotalBytes)
	}
	return j.State
}

func showJob(w io.Writer, j wire.Job) {
	attempt := ""
	if j.Attempt > 1 {
		attempt = fmt.Sprintf("%d, after the daemon was started again", j.Attempt)
	}
	pairs(w, "job", j.ID, "action", j.Action, "about", j.Subject, "state", stateOf(j), "by", j.By, "created", j.CreatedAt, "started", j.StartedAt,
		"ended", j.FinishedAt, "ran for", (time.Duration(j.Seconds) * time.Second).String(), "attempt", attempt)
	if j.Progress != nil {
		fmt.Fprintln(w, progressLine(*j.Progress))
	}
	for _, n := range j.Notes {
		fmt.Fprintf(w, "  %s\n", clean(n))
	}
	var said struct {
		Sentence string `json:"sentence"`
	}
	if json.Unmarshal(j.Result, &said) == nil && said.Sentence != "" {
		fmt.Fprintln(w, clean(said.Sentence))
	}
	if j.Lost {
		fmt.Fprintln(w, "Its result could not be kept; the timeline and the receipts tell what was done.")
	}
	if j.Error != nil {
		fmt.Fprintf(w, "%s (%s)\n", clean(j.Error.Message), j.Error.Code)
	}
}

func (a *app) uploadsCmd() *cobra.Command {
	list := command("list", "list the uploads that are here", 0, func([]string) error {
		u, err := call[wire.Uploads](a, "uploads/list", wire.UploadRequest{})
		if err != nil {
			return err
		}
		return a.show(u, func(w io.Writer) {
			var rows [][]string
			for _, x := range u.Uploads {
				rows = append(rows, []string{x.ID, x.State, units.Size(x.Bytes) + " of " + units.Size(x.Total), x.By, x.Expires, x.Path})
			}
			table(w, "ID STATE BYTES BY UNTIL PATH", rows)
		})
	})
	return family("uploads", "files that a browser or a program sends to this appliance", list,
		command("show ID", "tell which chunks of an upload are here", 1, func(args []string) error {
			u, err := call[wire.Upload](a, "uploads/show", wire.UploadRequest{ID: args[0]})
			if err != nil {
				return err
			}
			return a.show(u, func(w io.Writer) { showUpload(w, u) })
		}),
		command("send FOLDER", "send the files of a bundle to the daemon in chunks; repeated, it sends what is missing", 1, func(args []string) error { return a.send(args[0]) }),
		command("remove ID", "throw an upload away", 1, func(args []string) error {
			_, err := call[wire.None](a, "uploads/remove", wire.UploadRequest{ID: args[0]})
			return err
		}))
}

func showUpload(w io.Writer, u wire.Upload) {
	pairs(w, "upload", u.ID, "state", u.State, "chunks here", u.Have, "of", fmt.Sprint(u.Chunks), "path", u.Path, "kept until", u.Expires)
	fmt.Fprintln(w, u.Sentence)
}

// sendChunk is how much of a file goes into one request, which is JSON.
const sendChunk = 512 << 10

// send uploads the files of a folder.
func (a *app) send(dir string) error {
	var q wire.UploadRequest
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			q.Files = append(q.Files, wire.UploadFile{Name: name, Size: st.Size()})
		}
		return err
	})
	if err != nil {
		return code.Wrap(code.BadUsage, err, "read the folder").In(dir, "")
	}
	if len(q.Files) == 0 {
		return code.New(code.MediumEmpty, "there is no file").In(dir, "")
	}
	q.ChunkBytes = sendChunk
	u, err := call[wire.Upload](a, "uploads/create", q)
	if err != nil {
		return err
	}
	for _, f := range u.Files {
		if err := a.sendFile(&u, f, filepath.Join(dir, filepath.FromSlash(f.Name))); err != nil {
			return err
		}
	}
	u, err = call[wire.Upload](a, "uploads/complete", wire.UploadRequest{ID: u.ID})
	if err != nil {
		return err
	}
	return a.show(u, func(w io.Writer) {
		showUpload(w, u)
		a.say("Import it: %s", a.typed("import", u.Path))
	})
}

// sendFile sends the chunks of one file that are not there.
func (a *app) sendFile(u *wire.Upload, file wire.UploadFile, path string) error {
	if file.Chunks == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer f.Close()
	have := inRanges(u.Have)
	buf := make([]byte, u.ChunkBytes)
	for k := range file.Chunks {
		if have(file.First + k) {
			continue
		}
		n, err := f.ReadAt(buf[:min(u.ChunkBytes, file.Size-k*u.ChunkBytes)], k*u.ChunkBytes)
		if err != nil && err != io.EOF {
			return fmt.Errorf("send %s: %w", path, err)
		}
		at, err := call[wire.Upload](a, "uploads/chunk", wire.UploadChunk{ID: u.ID, Index: file.First + k, Total: u.Chunks, Data: buf[:n]})
		if err != nil {
			return err
		}
		a.progress(wire.Progress{Stage: "send", Subject: file.Name, Bytes: at.Bytes, TotalBytes: at.Total})
	}
	a.clear()
	return nil
}

// inRanges reads "0-41,43".
func inRanges(text string) func(int64) bool {
	var list [][2]int64
	for part := range strings.SplitSeq(text, ",") {
		var r [2]int64
		switch n, _ := fmt.Sscanf(part, "%d-%d", &r[0], &r[1]); n {
		case 1:
			list = append(list, [2]int64{r[0], r[0]})
		case 2:
			list = append(list, r)
		}
	}
	return func(n int64) bool {
		for _, r := range list {
			if n >= r[0] && n <= r[1] {
				return true
			}
		}
		return false
	}
}

package config

import (
	"testing"

	"sallyport/internal/code"
)

// FuzzFile: any YAML is a configuration whose every value can be set again to what it reads as, or an error with a code.
func FuzzFile(f *testing.F) {
	f.Add([]byte(Template()))
	f.Add([]byte("apiVersion: " + Version + "\nlimits:\n  workers: 3\n"))
	f.Add([]byte("apiVersion: " + Version + "\na: &a [*a]\n"))
	f.Add([]byte("apiVersion: " + Version + "\n<<: {socket: {path: /x}}\n"))
	f.Add([]byte("%YAML 1.2\n--- !!map\n? {}\n: {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := New("/d")
		if err := c.File("config.yaml", text); err != nil {
			if got := code.Of(err); got == "" || got == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		again := New("/d")
		for _, v := range c.Values() {
			if v.Source == "default" || v.Source == "" {
				continue
			}
			if err := again.Set(v.Name, v.Value, "again"); err != nil {
				t.Fatalf("%s reads as %q, which cannot be set: %v", v.Name, v.Value, err)
			}
		}
		for i, v := range again.Values() {
			if was := c.Values()[i]; was.Source != "default" && was.Source != "" && was.Value != v.Value {
				t.Fatalf("%s was %q and is %q", v.Name, was.Value, v.Value)
			}
		}
	})
}

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every package that decodes outside bytes has a target.
func TestTargets(t *testing.T) {
	all, err := targets("../..", regexp.MustCompile(""))
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, x := range all {
		dirs = append(dirs, strings.TrimPrefix(x.dir, "../../"))
	}
	for _, want := range []string{"attest", "bundle", "canon", "config", "load", "marks", "pack", "record", "root", "seal", "timeline", "units", "verify"} {
		if !slices.Contains(dirs, want) {
			t.Errorf("%s has no target", want)
		}
	}
	if some, err := targets("../..", regexp.MustCompile("pack FuzzTar$")); err != nil || len(some) != 1 {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := targets("../..", regexp.MustCompile("nothing")); err == nil {
		t.Error("nothing was run and nobody noticed")
	}
}

// The report says what each target did, and a failure where there was one.
func TestTable(t *testing.T) {
	text := table([]result{
		{target{"internal/a", "FuzzA"}, 61 * time.Second, 1000, 3, ""},
		{target{"internal/b", "FuzzB"}, time.Second, 5, 0, "testdata/fuzz/FuzzB/01"},
	}, time.Minute)
	for _, want := range []string{"2 targets, 1m0s each", "1005 executions, 1 failures", "| a | FuzzA | 61 | 1000 | 3 | clean |", "| b | FuzzB | 1 | 5 | 0 | testdata/fuzz/FuzzB/01 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	all := []target{{"internal/a", "FuzzA"}, {"internal/b", "FuzzB"}}
	if got := done(text, all, time.Minute); len(got) != 1 || got[0] != (result{all[0], 61 * time.Second, 1000, 3, ""}) {
		t.Errorf("to be left alone: %v", got)
	}
	if got := done(text, all, 2*time.Minute); len(got) != 0 {
		t.Errorf("half the time is enough: %v", got)
	}
	line := "fuzz: elapsed: 9s, execs: 123456 (41152/sec), new interesting: 17 (total: 42)\n"
	if m := progress.FindStringSubmatch(line); len(m) != 3 || m[1] != "123456" || m[2] != "17" {
		t.Errorf("%q", m)
	}
}

// The end of the time is no failure; a failing input is, whatever else is said.
func TestOverrun(t *testing.T) {
	end := "fuzz: elapsed: 1m1s, execs: 46318 (0/sec), new interesting: 10 (total: 13)\n--- FAIL: FuzzX (61.57s)\n    context deadline exceeded\nFAIL\n"
	if !overrun([]byte(end)) || overrun([]byte(end+"    Failing input written to testdata/fuzz/FuzzX/00ed3d\n")) || overrun([]byte("--- FAIL: FuzzX (1s)\n    x_test.go:1: wrong\n")) {
		t.Error("the end of the time and a failure are taken for each other")
	}
}

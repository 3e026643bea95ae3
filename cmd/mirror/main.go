// Command mirror verifies bundles and every other signed thing Sallyport makes, with nothing but this one file.
package main

import (
	"context"
	"os"
	"os/signal"

	"sallyport/internal/courier"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	self, err := os.Executable()
	if err != nil {
		self = "" // no trust directory is looked for
	}
	status := courier.Program{Out: os.Stdout, Err: os.Stderr, Self: self}.Main(ctx, os.Args)
	stop()
	os.Exit(status)
}

// The echo of `fortio server`, of the version in go.mod: its listener, its handlers and its log are fortio's own.
// Parts of fortio's program that no request uses are omitted: its user interface, its gRPC and its scripts, whose
// interpreter is not on every Go module proxy.
package main

import (
	"fmt"
	"os"

	"fortio.org/fortio/fhttp"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fortio ADDRESS:PORT")
		os.Exit(2)
	}
	// /debug is the default path of its debug handler (-echo-debug-path).
	if _, address := fhttp.Serve(os.Args[1], "/debug"); address == nil {
		os.Exit(1)
	}
	select {}
}

// The echo of `fortio server`, of the version that go.mod says: its listener, its handlers and its log are fortio's own.
// What is left out of fortio's program is what no request comes to: its user interface, its gRPC and its scripts, whose
// interpreter not every proxy of Go's modules has.
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
	// Where its debug handler is, by its own default (-echo-debug-path).
	if _, address := fhttp.Serve(os.Args[1], "/debug"); address == nil {
		os.Exit(1)
	}
	select {}
}

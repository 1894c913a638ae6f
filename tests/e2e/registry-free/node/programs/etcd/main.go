// Command etcd is etcd's own server. It has a main module here because etcd's go.mod
// has replace lines, which "go install" refuses.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }

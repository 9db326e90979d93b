// A program small enough to be built anywhere: it says where it runs.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func greeting(name string) string {
	return fmt.Sprintf("Hello %s, from an image that was built without privilege (%s/%s).", name, runtime.GOOS,
		runtime.GOARCH)
}

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Println(greeting(name))
}

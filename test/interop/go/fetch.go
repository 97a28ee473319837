// Fetch prints the body at a URL, by the proxy of the environment; with -raw it knows of none.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	client := http.DefaultClient
	url := os.Args[len(os.Args)-1]
	if os.Args[1] == "-raw" {
		client = &http.Client{Transport: &http.Transport{}}
	}
	response, err := client.Get(url)
	if err == nil {
		_, err = io.Copy(os.Stdout, response.Body)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

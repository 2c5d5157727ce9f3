// Sends one answer to everything, by net/http: what a service in Go does at best.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go_hello FILE ADDRESS")
	}
	answer, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	head, body, found := bytes.Cut(answer, []byte("\n\n"))
	if !found {
		log.Fatal("headers and body must be separated by an empty line")
	}
	headers := http.Header{}
	for _, line := range bytes.Split(head, []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		headers.Add(string(name), string(value))
	}
	handler := func(response http.ResponseWriter, _ *http.Request) {
		out := response.Header()
		for name, values := range headers {
			out[name] = values
		}
		response.Write(body)
	}
	log.Fatal(http.ListenAndServe(os.Args[2], http.HandlerFunc(handler)))
}

// Command gateway-client sends a request as the conformance tests of the Gateway API do, by their own round tripper.
// Flags define the request. It prints as JSON what the round tripper read of the response.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"
)

// Report is what the round tripper read.
type Report struct {
	Request *roundtripper.CapturedRequest `json:"request"`
	Status  int                           `json:"status"`
	Proto   string                        `json:"proto"`
	Fields  http.Header                   `json:"fields"`
}

type fields map[string][]string

func (f fields) String() string { return "" }

func (f fields) Set(field string) error {
	name, value, found := strings.Cut(field, ":")
	if !found {
		return fmt.Errorf("not of the form name:value: %q", field)
	}
	f[name] = append(f[name], value)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	request := roundtripper.Request{Headers: map[string][]string{}, UnfollowRedirect: true}
	h2c := flag.Bool("h2c", false, "speak HTTP/2 in clear")
	certificate := flag.String("cert", "", "PEM file, certificate and key, the server's own: that is what is trusted")
	flag.StringVar(&request.Server, "server", "", "name of the server, by TLS")
	flag.StringVar(&request.Method, "method", "GET", "method")
	flag.StringVar(&request.Host, "host", "", "whom to ask for, where that is not the URL's host")
	flag.StringVar(&request.Body, "body", "", "body")
	flag.Var(fields(request.Headers), "field", "name:value, repeatable")
	flag.Parse()
	target, err := url.Parse(flag.Arg(0))
	if err != nil {
		return err
	}
	request.URL = *target
	if *h2c {
		request.Protocol = roundtripper.H2CPriorKnowledgeProtocol
	}
	if *certificate != "" {
		pem, err := os.ReadFile(*certificate)
		if err != nil {
			return err
		}
		request.CertPem, request.KeyPem = pem, pem
	}
	client := roundtripper.DefaultRoundTripper{TimeoutConfig: config.DefaultTimeoutConfig()}
	captured, response, err := client.CaptureRoundTrip(request)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(Report{captured, response.StatusCode, response.Protocol, response.Headers})
}

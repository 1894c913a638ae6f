// Command h2client is the HTTP client of Go's standard library. Flags define the request. It prints the results as
// JSON; with -until-refused it sends requests until its connections are refused.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Response is the last response.
type Response struct {
	Status  int         `json:"status"`
	Proto   string      `json:"proto"`
	Fields  http.Header `json:"fields"`
	Body    string      `json:"body"`
	Trailer http.Header `json:"trailer"`
}

// Report has the results of all requests: number of responses by status and protocol, of failures by error message.
type Report struct {
	Answers  map[string]int `json:"answers"`
	Refused  int            `json:"refused"`
	Failures map[string]int `json:"failures"`
	Last     *Response      `json:"last"`
}

// Asked is the request that is sent repeatedly.
type Asked struct {
	method, url, body string
	header, trailer   http.Header
}

type fields http.Header

func (f fields) String() string { return "" }

func (f fields) Set(field string) error {
	name, value, found := strings.Cut(field, ": ")
	if !found {
		return errors.New("want 'NAME: VALUE'")
	}
	http.Header(f).Add(name, value)
	return nil
}

func main() {
	asked := Asked{header: http.Header{}, trailer: http.Header{}}
	protocol := flag.String("protocol", "h2", "h2 (over TLS by ALPN, else by prior knowledge) or http/1.1")
	authority := flag.String("ca", "", "PEM file of the authority that is trusted")
	count := flag.Int("count", 1, "requests")
	atOnce := flag.Int("at-once", 1, "requests in flight at the same time")
	clients := flag.Int("clients", 1, "clients, each with connections of its own, among which the requests are dealt")
	untilRefused := flag.Bool("until-refused", false, "send requests until connections are refused; report when -count responses have arrived")
	deadline := flag.Duration("deadline", 20*time.Second, "time for all of it")
	flag.StringVar(&asked.method, "method", "GET", "method")
	flag.StringVar(&asked.body, "body", "", "body")
	flag.Var(fields(asked.header), "header", "header field, repeatable")
	flag.Var(fields(asked.trailer), "trailer", "trailer field, repeatable")
	flag.Parse()
	asked.url = flag.Arg(0)

	transports := make([]*http.Transport, *clients)
	for i := range transports {
		transport, err := transportOf(*protocol, *authority)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		transports[i] = transport
	}
	ctx, cancel := context.WithTimeout(context.Background(), *deadline)
	defer cancel()
	report := askAll(ctx, transports, asked, *count, *atOnce, *untilRefused)
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		os.Exit(1)
	}
}

func transportOf(protocol, authority string) (*http.Transport, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "http/1.1")
	protocols.SetHTTP2(protocol == "h2")
	protocols.SetUnencryptedHTTP2(protocol == "h2")
	// No proxy, and no Accept-Encoding header that the flags don't set.
	transport := &http.Transport{
		Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: time.Minute, MaxIdleConnsPerHost: 100,
	}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return transport, nil
}

// neverConnected returns whether a connection was never established, so that no request was sent on it. It was refused,
// or reset before it was open, as the kernel does when a listener closes at that moment.
func neverConnected(err error) bool {
	var failed *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) ||
		errors.As(err, &failed) && failed.Op == "dial" && errors.Is(err, syscall.ECONNRESET)
}

func askAll(ctx context.Context, transports []*http.Transport, asked Asked, count, atOnce int, untilRefused bool) *Report {
	report := &Report{Answers: map[string]int{}, Failures: map[string]int{}}
	var lock sync.Mutex
	begun, done := 0, 0
	// next returns whether to send one more request.
	next := func() bool {
		lock.Lock()
		defer lock.Unlock()
		begun++
		return untilRefused || begun <= count
	}
	// note counts the result of a request, and returns whether to continue.
	note := func(answer *Response, err error) bool {
		lock.Lock()
		defer lock.Unlock()
		switch {
		case neverConnected(err):
			report.Refused++
			return false
		case err != nil:
			report.Failures[err.Error()]++
			return ctx.Err() == nil
		}
		report.Answers[fmt.Sprintf("%d %s", answer.Status, answer.Proto)]++
		report.Last = answer
		if done++; untilRefused && done == count {
			fmt.Println("under way")
		}
		return true
	}
	var group sync.WaitGroup
	for i := range atOnce {
		group.Go(func() {
			for next() && note(ask(ctx, transports[i%len(transports)], asked)) {
			}
		})
	}
	group.Wait()
	return report
}

func ask(ctx context.Context, transport *http.Transport, asked Asked) (*Response, error) {
	var body io.Reader
	if asked.body != "" {
		body = bytes.NewReader([]byte(asked.body))
	}
	request, err := http.NewRequestWithContext(ctx, asked.method, asked.url, body)
	if err != nil {
		return nil, err
	}
	request.Header = asked.header.Clone()
	if len(asked.trailer) > 0 {
		request.Trailer = asked.trailer.Clone()
		request.ContentLength = -1 // HTTP/1.1 has trailers behind chunks only
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("within a response: %w", err)
	}
	return &Response{response.StatusCode, response.Proto, response.Header, string(read), response.Trailer}, nil
}

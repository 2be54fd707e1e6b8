package main

import (
	"net"
	"net/http"
	"net/http/httptest"
)

// What the server asks in a check of each kind. They live as long as the program.
type targets struct {
	http string // a page that says ok to POST with the right header and body
	h2   string // HTTP/2 without TLS: PING, and the standard health service of gRPC
	udp  string // echoes
}

func listen() targets {
	pages := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, asked *http.Request) {
		if asked.Method != http.MethodPost || asked.Header.Get("X-Story") != "yes" {
			answer.WriteHeader(http.StatusTeapot)
		}
	}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(serving)}
	at := got(net.Listen("tcp", "127.0.0.1:0"))
	go h2.Serve(at)
	echo := got(net.ListenPacket("udp", "127.0.0.1:0"))
	go func() {
		buffer := make([]byte, 1500)
		for {
			count, from, err := echo.ReadFrom(buffer)
			if err != nil {
				return
			}
			echo.WriteTo(buffer[:count], from)
		}
	}()
	return targets{pages.URL, at.Addr().String(), echo.LocalAddr().String()}
}

// grpc.health.v1.Health/Check: one message with status SERVING.
func serving(answer http.ResponseWriter, _ *http.Request) {
	answer.Header().Set("Content-Type", "application/grpc")
	answer.Header().Set("Trailer", "Grpc-Status")
	answer.Write([]byte{0, 0, 0, 0, 2, 8, 1})
	answer.Header().Set("Grpc-Status", "0")
}

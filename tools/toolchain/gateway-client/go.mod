module gateway-client

go 1.26.0

require sigs.k8s.io/gateway-api v1.4.1

require (
	golang.org/x/net v0.43.0 // indirect
	golang.org/x/text v0.28.0 // indirect
)

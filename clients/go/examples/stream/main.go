// Stream talks to a program, follows another, passes a large file through, and
// watches a directory. It needs WRENN_API_KEY and, unless it is 127.0.0.1:7071,
// WRENN_ADDRESS.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	wrennv1 "wrenn.example/clients/go/gen/wrenn/v1"
)

// A first boot without KVM takes its time.
const createTimeout = 5 * time.Minute
const callsTimeout = 2 * time.Minute
const deleteTimeout = time.Minute

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() (err error) {
	address := os.Getenv("WRENN_ADDRESS")
	if address == "" {
		address = "127.0.0.1:7071"
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	sandboxes := wrennv1.NewSandboxServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-api-key", os.Getenv("WRENN_API_KEY"))

	creating, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	sandbox, err := sandboxes.CreateSandbox(creating, &wrennv1.CreateSandboxRequest{Template: "minimal"})
	if err != nil {
		return err
	}
	defer func() {
		deleting, cancel := context.WithTimeout(ctx, deleteTimeout)
		defer cancel()
		request := &wrennv1.DeleteSandboxRequest{SandboxId: sandbox.SandboxId}
		_, deleteErr := sandboxes.DeleteSandbox(deleting, request)
		err = errors.Join(err, deleteErr)
	}()
	fmt.Println("in", sandbox.SandboxId)

	calling, cancelCalls := context.WithTimeout(ctx, callsTimeout)
	defer cancelCalls()
	err = tryPrograms(calling, wrennv1.NewProcessServiceClient(connection), sandbox.SandboxId)
	if err != nil {
		return err
	}
	return tryFiles(calling, wrennv1.NewFileServiceClient(connection), sandbox.SandboxId)
}

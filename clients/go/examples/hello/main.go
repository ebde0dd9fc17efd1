// Hello runs a program in a new sandbox. It needs WRENN_API_KEY and, unless it
// is 127.0.0.1:7071, WRENN_GRPC_ADDRESS.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	wrennv1 "wrenn.example/clients/go/gen/wrenn/v1"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	address := os.Getenv("WRENN_GRPC_ADDRESS")
	if address == "" {
		address = "127.0.0.1:7071"
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	sandboxes := wrennv1.NewSandboxServiceClient(connection)
	processes := wrennv1.NewProcessServiceClient(connection)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", os.Getenv("WRENN_API_KEY"))

	sandbox, err := sandboxes.CreateSandbox(ctx, &wrennv1.CreateSandboxRequest{Template: "minimal"})
	if err != nil {
		return err
	}
	defer func() {
		request := &wrennv1.DeleteSandboxRequest{SandboxId: sandbox.SandboxId}
		if _, err := sandboxes.DeleteSandbox(ctx, request); err != nil {
			log.Print(err)
		}
	}()

	result, err := processes.Exec(ctx, &wrennv1.ExecRequest{
		SandboxId: sandbox.SandboxId,
		Cmd:       "python3",
		Args:      []string{"-c", "print(sum(range(1000)))"},
	})
	if err != nil {
		return err
	}
	fmt.Print(result.StdoutText)
	return nil
}

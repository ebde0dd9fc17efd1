// Freeze pauses and resumes a sandbox, forks it, and greets from each copy. What
// is written to /dev/shm is in the sandbox's memory alone. It needs
// WRENN_API_KEY and, unless it is 127.0.0.1:7071, WRENN_ADDRESS.
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

// Without KVM a first boot, and a machine's return, take their time.
const machineTimeout = 5 * time.Minute
const callTimeout = time.Minute

const copies = 2
const note = "/dev/shm/note"

type client struct {
	sandboxes wrennv1.SandboxServiceClient
	processes wrennv1.ProcessServiceClient
}

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
	wrenn := client{
		sandboxes: wrennv1.NewSandboxServiceClient(connection),
		processes: wrennv1.NewProcessServiceClient(connection),
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-api-key", os.Getenv("WRENN_API_KEY"))

	creating, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	sandbox, err := wrenn.sandboxes.CreateSandbox(creating, &wrennv1.CreateSandboxRequest{Template: "minimal"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wrenn.delete(ctx, sandbox.SandboxId)) }()

	if err := wrenn.pauseAndResume(ctx, sandbox.SandboxId); err != nil {
		return err
	}
	return wrenn.fork(ctx, sandbox.SandboxId)
}

func (c client) pauseAndResume(ctx context.Context, sandboxID string) error {
	if _, err := c.exec(ctx, sandboxID, "echo remembered > "+note); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	if _, err := c.sandboxes.PauseSandbox(ctx, &wrennv1.PauseSandboxRequest{SandboxId: sandboxID}); err != nil {
		return err
	}
	if _, err := c.sandboxes.ResumeSandbox(ctx, &wrennv1.ResumeSandboxRequest{SandboxId: sandboxID}); err != nil {
		return err
	}
	remembered, err := c.exec(ctx, sandboxID, "cat "+note)
	fmt.Print("after the pause: ", remembered)
	return err
}

func (c client) fork(ctx context.Context, sandboxID string) (err error) {
	forking, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	request := &wrennv1.ForkSandboxRequest{SandboxId: sandboxID, Count: copies}
	answer, err := c.sandboxes.ForkSandbox(forking, request)
	if err != nil {
		return err
	}
	for _, result := range answer.Results {
		if failure := result.GetError(); failure != nil {
			err = errors.Join(err, fmt.Errorf("a copy was not started: %s", failure.Message))
			continue
		}
		err = errors.Join(err, c.greet(ctx, result.GetSandbox().SandboxId))
	}
	return err
}

// Greet lets a copy speak, and deletes it.
func (c client) greet(ctx context.Context, sandboxID string) error {
	greeting, err := c.exec(ctx, sandboxID, `echo "$(cat `+note+`) in $(hostname)"`)
	fmt.Print(greeting)
	return errors.Join(err, c.delete(ctx, sandboxID))
}

func (c client) exec(ctx context.Context, sandboxID, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &wrennv1.ExecRequest{SandboxId: sandboxID, Cmd: "sh", Args: []string{"-c", script}}
	result, err := c.processes.Exec(ctx, request)
	return result.GetStdoutText(), err
}

func (c client) delete(ctx context.Context, sandboxID string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.sandboxes.DeleteSandbox(ctx, &wrennv1.DeleteSandboxRequest{SandboxId: sandboxID})
	return err
}

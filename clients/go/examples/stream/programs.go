package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"

	wrennv1 "wrenn.example/clients/go/gen/wrenn/v1"
)

const conversation = "read name; echo hello $name; exit 3"

func tryPrograms(ctx context.Context, processes wrennv1.ProcessServiceClient, sandboxID string) error {
	answer, exitCode, err := converse(ctx, processes, sandboxID)
	if err != nil {
		return err
	}
	fmt.Printf("%s, exit code %d\n", answer, exitCode)
	answer, err = follow(ctx, processes, sandboxID)
	if err != nil {
		return err
	}
	fmt.Println(answer)
	return nil
}

// converse starts a program, says something to it, and returns its answer and exit code.
func converse(ctx context.Context, processes wrennv1.ProcessServiceClient, sandboxID string) (string, int32, error) {
	stream, err := processes.ExecStream(ctx)
	if err != nil {
		return "", 0, err
	}
	spec := &wrennv1.ProcessSpec{Cmd: "sh", Args: []string{"-c", conversation}}
	for _, request := range []*wrennv1.ExecStreamRequest{
		{SandboxId: sandboxID, Message: &wrennv1.ExecStreamRequest_Start{Start: spec}},
		{Message: &wrennv1.ExecStreamRequest_Stdin{Stdin: []byte("Go\n")}},
		{Message: &wrennv1.ExecStreamRequest_CloseStdin{CloseStdin: &wrennv1.CloseInput{}}},
	} {
		if err := stream.Send(request); err != nil {
			return "", 0, err
		}
	}
	return readToExit(stream)
}

// follow starts a program in the background and returns its output from the seventh byte on.
func follow(ctx context.Context, processes wrennv1.ProcessServiceClient, sandboxID string) (string, error) {
	spec := &wrennv1.ProcessSpec{Cmd: "echo", Args: []string{"hello again"}, CloseStdin: true}
	started, err := processes.Start(ctx, &wrennv1.StartRequest{SandboxId: sandboxID, Process: spec})
	if err != nil {
		return "", err
	}
	// Before it has written that much there is nothing to attach to from there.
	request := &wrennv1.AttachRequest{SandboxId: sandboxID, ProcessId: started.ProcessId}
	output, err := attach(ctx, processes, request)
	if err != nil {
		return "", err
	}
	if output != "hello again" {
		return "", fmt.Errorf("the program wrote %q", output)
	}
	offset := 6.0
	request.Offset = &offset
	return attach(ctx, processes, request)
}

func attach(ctx context.Context, processes wrennv1.ProcessServiceClient, request *wrennv1.AttachRequest) (string, error) {
	stream, err := processes.Attach(ctx, request)
	if err != nil {
		return "", err
	}
	output, _, err := readToExit(stream)
	return output, err
}

// readToExit returns what a program wrote to standard output, and its exit code.
func readToExit(stream grpc.ServerStreamingClient[wrennv1.ProcessEvent]) (string, int32, error) {
	var output strings.Builder
	exitCode := int32(-1)
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return strings.TrimSpace(output.String()), exitCode, nil
		}
		if err != nil {
			return "", 0, err
		}
		output.Write(event.GetStdout().GetData())
		if exited := event.GetExited(); exited != nil {
			exitCode = exited.ExitCode
		}
	}
}

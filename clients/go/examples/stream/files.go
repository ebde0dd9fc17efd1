package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"google.golang.org/genproto/googleapis/api/httpbody"

	wrennv1 "wrenn.example/clients/go/gen/wrenn/v1"
)

const fileBytes = 8 * 1024 * 1024

// A message of a stream carries up to 256 KiB.
const pieceBytes = 128 * 1024

const directory = "/root/large"

func tryFiles(ctx context.Context, files wrennv1.FileServiceClient, sandboxID string) error {
	if err := passThrough(ctx, files, sandboxID); err != nil {
		return err
	}
	list, err := files.ListDir(ctx, &wrennv1.ListDirRequest{SandboxId: sandboxID, Path: directory})
	if err != nil {
		return err
	}
	for _, entry := range list.Entries {
		fmt.Println("listed", entry.Name)
	}
	return watch(ctx, files, sandboxID)
}

// passThrough writes a large file and says whether it comes back as it was.
func passThrough(ctx context.Context, files wrennv1.FileServiceClient, sandboxID string) error {
	content := make([]byte, fileBytes)
	if _, err := rand.Read(content); err != nil {
		return err
	}
	path := directory + "/data"
	written, err := writeFile(ctx, files, &wrennv1.StreamWriteFileRequest{SandboxId: sandboxID, Path: path}, content)
	if err != nil {
		return err
	}
	read, err := hashOf(ctx, files, &wrennv1.StreamReadFileRequest{SandboxId: sandboxID, Path: path})
	if err != nil {
		return err
	}
	expected := sha256.Sum256(content)
	verdict := "others"
	if bytes.Equal(read, expected[:]) {
		verdict = "the same"
	}
	fmt.Printf("%.0f bytes, %s\n", written.SizeBytes, verdict)
	return nil
}

// writeFile writes a file of any size: first its name, then its content piece by piece.
func writeFile(ctx context.Context, files wrennv1.FileServiceClient, first *wrennv1.StreamWriteFileRequest, content []byte) (*wrennv1.WriteFileResponse, error) {
	stream, err := files.StreamWriteFile(ctx)
	if err != nil {
		return nil, err
	}
	request := first
	for {
		// A server that refuses ends the stream; its answer says why.
		if err := stream.Send(request); err != nil || len(content) == 0 {
			return stream.CloseAndRecv()
		}
		size := min(pieceBytes, len(content))
		request = &wrennv1.StreamWriteFileRequest{File: &httpbody.HttpBody{Data: content[:size]}}
		content = content[size:]
	}
}

// hashOf reads a file of any size and returns its SHA-256.
func hashOf(ctx context.Context, files wrennv1.FileServiceClient, request *wrennv1.StreamReadFileRequest) ([]byte, error) {
	stream, err := files.StreamReadFile(ctx, request)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	for {
		body, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return hash.Sum(nil), nil
		}
		if err != nil {
			return nil, err
		}
		hash.Write(body.Data)
	}
}

// watch makes a directory in one that it watches and prints what it is told.
func watch(ctx context.Context, files wrennv1.FileServiceClient, sandboxID string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := files.WatchDir(ctx, &wrennv1.WatchDirRequest{SandboxId: sandboxID, Path: directory})
	if err != nil {
		return err
	}
	ready, err := events.Recv()
	if err != nil {
		return err
	}
	if ready.Type != wrennv1.FileEventType_FILE_EVENT_TYPE_READY {
		return errors.New("the watch has not begun")
	}
	request := &wrennv1.MakeDirRequest{SandboxId: sandboxID, Path: directory + "/new"}
	if _, err := files.MakeDir(ctx, request); err != nil {
		return err
	}
	event, err := events.Recv()
	if err != nil {
		return err
	}
	fmt.Println(event.Type, event.Path)
	return nil
}

package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// jsonForm is JSON, which is what is wanted. It is not held against its schema.
type jsonForm struct{}

func (jsonForm) appendJSON(dst, payload []byte) ([]byte, error) {
	if !json.Valid(payload) {
		return dst, errors.New("the value is no JSON")
	}
	return append(dst, payload...), nil
}

func (f jsonForm) appendPayload(dst, text []byte) ([]byte, error) { return f.appendJSON(dst, text) }

// avroForm is Avro. Unions are the value alone, without its type; bytes are texts with a character for each; times, dates and
// decimals are what they are made of (numbers and bytes), as in Java programs that do not ask for more.
type avroForm struct{ schema *avro.Schema }

func parseAvro(text string, files []reference) (form, error) {
	var all avro.SchemaCache
	for _, f := range files {
		if _, err := all.Parse(f.text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	s, err := all.Parse(text)
	if err != nil {
		return nil, err
	}
	return &avroForm{s}, nil
}

func (f *avroForm) appendJSON(dst, payload []byte) ([]byte, error) {
	var v any
	rest, err := f.schema.Decode(payload, &v)
	if err != nil {
		return dst, err
	}
	if len(rest) > 0 {
		return dst, fmt.Errorf("%d bytes stand behind the value", len(rest))
	}
	return f.schema.AppendEncodeJSON(dst, v)
}

func (f *avroForm) appendPayload(dst, text []byte) ([]byte, error) {
	var v any
	if err := f.schema.DecodeJSON(text, &v); err != nil {
		return dst, err
	}
	return f.schema.AppendEncode(dst, v)
}

// protobufForm is Protobuf. Fields have the names of the schema; numbers of 64 bits are texts, as in Protobuf's JSON.
type protobufForm struct {
	file  protoreflect.FileDescriptor
	types *dynamicpb.Types
}

// compilePatience bounds how long a schema may take to be compiled.
const compilePatience = 10 * time.Second

func parseProtobuf(ctx context.Context, text string, files []reference) (form, error) {
	const main = "naru/main.proto"
	texts := map[string]string{main: text}
	for _, f := range files {
		texts[f.name] = f.text
	}
	c := protocompile.Compiler{MaxParallelism: 1, Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: func(path string) (io.ReadCloser, error) {
			t, ok := texts[path]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return io.NopCloser(strings.NewReader(t)), nil
		},
	})}
	ctx, cancel := context.WithTimeout(ctx, compilePatience)
	defer cancel()
	compiled, err := c.Compile(ctx, main)
	if err != nil {
		return nil, err
	}
	if compiled[0].Messages().Len() == 0 {
		return nil, errors.New("the schema has no message")
	}
	all := new(protoregistry.Files)
	if err := register(all, compiled[0]); err != nil {
		return nil, err
	}
	return &protobufForm{compiled[0], dynamicpb.NewTypes(all)}, nil
}

// register adds a file, and those that it imports, for values of the type Any.
func register(all *protoregistry.Files, file protoreflect.FileDescriptor) error {
	if _, err := all.FindFileByPath(file.Path()); err == nil {
		return nil
	}
	for i := range file.Imports().Len() {
		if err := register(all, file.Imports().Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return all.RegisterFile(file)
}

// message reads the message indexes.
func (f *protobufForm) message(payload []byte) (protoreflect.MessageDescriptor, []byte, error) {
	bad := errors.New("the message indexes lead nowhere")
	n, k := binary.Varint(payload)
	if k <= 0 || n < 0 || n > int64(len(payload)) {
		return nil, nil, bad
	}
	payload = payload[k:]
	if n == 0 {
		return f.file.Messages().Get(0), payload, nil
	}
	var at protoreflect.MessageDescriptor
	in := f.file.Messages()
	for range n {
		i, k := binary.Varint(payload)
		if k <= 0 || i < 0 || i >= int64(in.Len()) {
			return nil, nil, bad
		}
		payload = payload[k:]
		at = in.Get(int(i))
		in = at.Messages()
	}
	return at, payload, nil
}

func (f *protobufForm) appendJSON(dst, payload []byte) ([]byte, error) {
	of, payload, err := f.message(payload)
	if err != nil {
		return dst, err
	}
	m := dynamicpb.NewMessage(of)
	if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: f.types}).Unmarshal(payload, m); err != nil {
		return dst, err
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, AllowPartial: true, Resolver: f.types}.Marshal(m)
	if err != nil {
		return dst, err
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, text); err != nil { // its spaces are random
		return dst, err
	}
	return out.Bytes(), nil
}

// appendPayload makes a message of the first type.
func (f *protobufForm) appendPayload(dst, text []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(f.file.Messages().Get(0))
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, Resolver: f.types}).Unmarshal(text, m); err != nil {
		return dst, err
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(append(dst, 0), m)
}

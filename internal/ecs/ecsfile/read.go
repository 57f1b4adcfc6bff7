package ecsfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/rules"
)

// Limits bound what is read.
type Limits struct {
	Object    int64 // bytes of one JSON object
	Files     int
	Instances int
	Others    int // images, and instance types
	Text      int // bytes of all texts of one instance
}

// DefaultLimits are far above what a fleet needs and below what a process
// bears.
func DefaultLimits() Limits {
	return Limits{Object: 256 << 20, Files: 10_000, Instances: 1_000_000, Others: 200_000, Text: 64 << 10}
}

// Open reads the files, which stand for account. Each holds JSON: answers,
// items of answers, lists of them, any number one after the other.
func Open(ctx context.Context, account string, files []string, limits Limits) (*Source, error) {
	if len(files) > limits.Files {
		return nil, fmt.Errorf("%d files are more than the %d that are read at once", len(files), limits.Files)
	}
	collected := &collector{
		limits: limits,
		s:      &Source{account: account, regions: map[string]*region{}, images: map[string]rules.ImageFacts{}, Files: len(files)},
		at:     map[rowKey]int{}, types: map[string]bool{}, single: map[string]map[string]bool{}, listings: map[string]*listing{}, differ: map[string]int{},
	}
	for _, file := range files {
		if err := collected.file(ctx, file); err != nil {
			return nil, err
		}
	}
	return collected.end()
}

// Error is a mistake in a file.
type Error struct {
	File   string
	Line   int   // 0 where it could not be found out
	Offset int64 // bytes from the beginning
	Err    error
}

// Error says where what is wrong.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s, byte %d: %v", e.File, e.Offset, e.Err)
	}
	return fmt.Sprintf("%s, line %d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// open opens a file as UTF-8. Some shells write UTF-16 with a byte order mark.
func open(file string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close() // nothing was written to it
		return nil, fmt.Errorf("%s is a folder: name the files in it, such as %s", file, filepath.Join(file, "*.json"))
	}
	decoded := transform.NewReader(f, unicode.BOMOverride(transform.Nop))
	return struct {
		io.Reader
		io.Closer
	}{decoded, f}, nil
}

// bounded fails when more is read than an object may have.
type bounded struct {
	r    io.Reader
	left int64
}

var errObjectTooLarge = errors.New("a JSON object is too large: split the listing into its pages")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errObjectTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (c *collector) file(ctx context.Context, file string) error {
	readCloser, err := open(file)
	if err != nil {
		return err // names the file
	}
	defer readCloser.Close()
	in := &bounded{r: readCloser}
	decoder := jsontext.NewDecoder(in, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	depth := 0 // of lists
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		in.left = c.limits.Object
		kind := decoder.PeekKind()
		if kind == '[' || kind == ']' {
			if _, err := decoder.ReadToken(); err != nil {
				return wrong(file, decoder.InputOffset(), 0, err)
			}
			if depth = decoder.StackDepth(); depth > 1 {
				return wrong(file, decoder.InputOffset(), 0, errors.New("a list within a list"))
			}
			continue
		}
		value, err := decoder.ReadValue()
		if errors.Is(err, io.EOF) {
			return nil
		}
		start := decoder.InputOffset() - int64(len(value))
		if err == nil && kind != '{' {
			err = fmt.Errorf("%s: %w", clip(string(value), 60), ecsapi.ErrNoAnswer)
		}
		if err != nil {
			return wrong(file, start, 0, err)
		}
		if err := c.object(file, start, value); err != nil {
			return wrong(file, start, start, err)
		}
	}
}

// wrong says where in a file err is: at a place, or where the decoder that began
// at base says.
func wrong(file string, at, base int64, err error) error {
	if errors.Is(err, errObjectTooLarge) {
		err = errObjectTooLarge
	} else if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at, err = base+e.ByteOffset, fmt.Errorf("this is not JSON: %w", e.Err)
	} else if semanticError, ok := errors.AsType[*json.SemanticError](err); ok {
		if semanticError.ByteOffset > 0 {
			at = base + semanticError.ByteOffset
		}
		where := ""
		if semanticError.JSONPointer != "" {
			where = " at " + clip(string(semanticError.JSONPointer), 200)
		}
		if semanticError.Err != nil {
			err = semanticError.Err
		}
		err = fmt.Errorf("not as the API spells it%s: %w", where, err)
	}
	return &Error{File: file, Line: lineAt(file, at), Offset: at, Err: err}
}

// lineAt is the line of a place in a file, 0 where it cannot be read again.
func lineAt(file string, offset int64) int {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return 0
	}
	readCloser, err := open(file)
	if err != nil {
		return 0
	}
	defer readCloser.Close()
	line := 1
	before := io.LimitReader(readCloser, offset)
	buf := make([]byte, 64<<10)
	for {
		n, err := before.Read(buf)
		line += bytes.Count(buf[:n], []byte{'\n'})
		if err != nil {
			return line
		}
	}
}

func clip(text string, n int) string {
	if len(text) > n {
		text = text[:n] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(char rune) rune {
		if char < ' ' || char == 0x7f {
			return ' '
		}
		return char
	}, text), "?")
}

// textOf is how many bytes the texts of an instance have.
func textOf(instance *ecs.Instance) int {
	n := len(instance.ID) + len(instance.Name) + len(instance.Type) + len(instance.Family) + len(instance.ImageID) + len(instance.OSName) + len(instance.OSNameEn) + len(instance.OSType) +
		len(instance.Status) + len(instance.Zone) + len(instance.CreationTime) + len(instance.StartTime) + len(instance.NetworkType)
	for _, t := range instance.Tags {
		n += len(t.Key) + len(t.Value)
	}
	return n
}

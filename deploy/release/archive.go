package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// packed is one file of an archive.
type packed struct {
	name, path string
	mode       int64
}

// writeArchive writes a tar.gz or a zip in which nothing depends on the machine:
// no owner, no time but the given one, the order of files.
func writeArchive(path, format string, files []packed, when time.Time) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var next func(file packed, size int) (io.Writer, error)
	var end func() error
	switch format {
	case "tar.gz":
		compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return err
		}
		archive := tar.NewWriter(compressed)
		next = func(file packed, size int) (io.Writer, error) {
			return archive, archive.WriteHeader(&tar.Header{Name: file.name, Mode: file.mode, Size: int64(size), ModTime: when, Format: tar.FormatUSTAR})
		}
		end = func() error { return errors.Join(archive.Close(), compressed.Close()) }
	case "zip":
		archive := zip.NewWriter(out)
		next = func(file packed, _ int) (io.Writer, error) {
			header := &zip.FileHeader{Name: file.name, Method: zip.Deflate, Modified: when}
			header.SetMode(os.FileMode(file.mode))
			return archive.CreateHeader(header)
		}
		end = archive.Close
	default:
		return fmt.Errorf("archive format %q is not tar.gz or zip", format)
	}
	for _, file := range files {
		content, err := os.ReadFile(file.path)
		if err != nil {
			return err
		}
		entry, err := next(file, len(content))
		if err != nil {
			return err
		}
		if _, err := entry.Write(content); err != nil {
			return err
		}
	}
	return end()
}

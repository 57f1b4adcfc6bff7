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
	switch format {
	case "tar.gz":
		return writeTar(out, files, when)
	case "zip":
		return writeZip(out, files, when)
	default:
		return fmt.Errorf("archive format %q is not tar.gz or zip", format)
	}
}

func writeTar(w io.Writer, files []packed, when time.Time) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, file := range files {
		content, err := os.ReadFile(file.path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(content)), ModTime: when, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func writeZip(w io.Writer, files []packed, when time.Time) error {
	archive := zip.NewWriter(w)
	for _, file := range files {
		content, err := os.ReadFile(file.path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: file.name, Method: zip.Deflate, Modified: when}
		header.SetMode(os.FileMode(file.mode))
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/soe"
)

// Schemas finds the schema that a value was written with by its fingerprint.
type Schemas map[[8]byte]avro.Schema

// LoadSchemas reads every .avsc below the directory: current ones and all versions ever released, each on its own,
// since different versions of a record have the same name.
func LoadSchemas(directory string) (Schemas, error) {
	schemas := Schemas{}
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".avsc" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		schema, err := avro.ParseBytesWithCache(text, "", &avro.SchemaCache{})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fingerprint, err := soe.ComputeFingerprint(schema)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		schemas[[8]byte(fingerprint)] = schema
		return nil
	})
	return schemas, err
}

// Split returns the schema and the Avro body of a value in single-object encoding: C3 01, fingerprint, body.
func (schemas Schemas) Split(value []byte) (*avro.RecordSchema, []byte, error) {
	if len(value) < 10 || !bytes.HasPrefix(value, soe.Magic) {
		return nil, nil, fmt.Errorf("no single-object encoding: % x", value[:min(len(value), 10)])
	}
	schema, known := schemas[[8]byte(value[2:10])]
	if !known {
		return nil, nil, fmt.Errorf("no schema has the fingerprint %x: this program is older than the producer", value[2:10])
	}
	record, ok := schema.(*avro.RecordSchema)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no record", schema)
	}
	return record, value[10:], nil
}

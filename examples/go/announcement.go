package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Announcement is what this program tells of one record of the changes topic.
type Announcement struct {
	Number      int64    `json:"number"`
	Seq         int64    `json:"seq"`
	Offset      int64    `json:"offset"`
	Type        string   `json:"type"`
	Key         string   `json:"key"`
	Op          string   `json:"op,omitempty"`
	Transitions []string `json:"transitions,omitempty"`
	Code        string   `json:"code,omitempty"`
}

// Fields that a struct does not name are skipped, so that records may get new ones.
type change struct {
	Op          string `avro:"op"`
	Transitions []struct {
		Type string `avro:"type"`
	} `avro:"transitions"`
}

type rejection struct {
	Code string `avro:"code"`
}

// Read decodes one record.
func Read(record *kgo.Record, schemas Schemas) (Announcement, error) {
	announcement := Announcement{Offset: record.Offset, Key: string(record.Key)}
	var err error
	if announcement.Number, err = header(record, "processor-number"); err != nil {
		return announcement, err
	}
	if announcement.Seq, err = header(record, "processor-seq"); err != nil {
		return announcement, err
	}
	schema, body, err := schemas.Split(record.Value)
	if err != nil {
		return announcement, err
	}
	announcement.Type = schema.Name()
	if announcement.Type == "EventRejected" {
		var refused rejection
		err = avro.Unmarshal(schema, body, &refused)
		announcement.Code = refused.Code
		return announcement, err
	}
	var changed change
	err = avro.Unmarshal(schema, body, &changed)
	announcement.Op = changed.Op
	for _, transition := range changed.Transitions {
		announcement.Transitions = append(announcement.Transitions, transition.Type)
	}
	return announcement, err
}

func (announcement Announcement) String() string {
	text, err := json.Marshal(announcement)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func header(record *kgo.Record, name string) (int64, error) {
	for _, header := range record.Headers {
		if header.Key == name {
			return strconv.ParseInt(string(header.Value), 10, 64)
		}
	}
	return 0, fmt.Errorf("the record at offset %d has no header %s", record.Offset, name)
}

// Follow the announcements of one shard from Go: each once, in order, a gap told.
//
//	go run . -bootstrap 127.0.0.1:9092 -schemas ../../schemas
//
// Prints an announcement a line as JSON. To go on where an earlier run ended, give it what the last line said:
// -from one more than its offset, -last its number. Ends with 1 when announcements are missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/twmb/franz-go/pkg/kgo"
)

type options struct {
	bootstrap   string
	topic       string
	schemas     string
	partition   int
	from        int64
	last        int64
	count       int
	uncommitted bool
}

func main() {
	var chosen options
	flag.StringVar(&chosen.bootstrap, "bootstrap", "127.0.0.1:9092", "Kafka, host:port")
	flag.StringVar(&chosen.topic, "topic", "cluster.changes", "the changes topic")
	flag.StringVar(&chosen.schemas, "schemas", "../../schemas", "the folder of the .avsc files")
	flag.IntVar(&chosen.partition, "partition", 0, "the shard")
	flag.Int64Var(&chosen.from, "from", -1, "offset to read from; -1: what is still there")
	flag.Int64Var(&chosen.last, "last", -1, "number of the last announcement seen; -1: none yet")
	flag.IntVar(&chosen.count, "count", 0, "end after so many announcements; 0: never")
	flag.BoolVar(&chosen.uncommitted, "uncommitted", false, "read what may yet be aborted, and see it again")
	flag.Parse()
	context, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := follow(context, chosen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func follow(context context.Context, chosen options) error {
	schemas, err := LoadSchemas(chosen.schemas)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(properties(chosen)...)
	if err != nil {
		return err
	}
	defer client.Close()
	last, told := chosen.last, 0
	for chosen.count == 0 || told < chosen.count {
		fetches := client.PollFetches(context)
		if context.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			announcement, err := Read(record, schemas)
			if err != nil {
				return err
			}
			if announcement.Number <= last {
				fmt.Fprintf(os.Stderr, "repeat: number %d\n", announcement.Number)
				continue
			}
			if announcement.Number > last+1 {
				return fmt.Errorf("gap: numbers %d to %d are missing", last+1, announcement.Number-1)
			}
			fmt.Println(announcement)
			last, told = announcement.Number, told+1
			if told == chosen.count {
				break
			}
		}
	}
	return nil
}

func properties(chosen options) []kgo.Opt {
	start := kgo.NewOffset().AtStart()
	if chosen.from >= 0 {
		start = kgo.NewOffset().At(chosen.from)
	}
	isolation := kgo.ReadCommitted()
	if chosen.uncommitted {
		isolation = kgo.ReadUncommitted()
	}
	partitions := map[int32]kgo.Offset{int32(chosen.partition): start}
	return []kgo.Opt{
		kgo.SeedBrokers(chosen.bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{chosen.topic: partitions}),
		kgo.FetchIsolationLevel(isolation),
		// an offset that is gone is an error, not a silent jump
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	}
}

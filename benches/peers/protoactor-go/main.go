// The messaging scenarios on Proto.Actor: `messaging SCENARIO OPERATIONS`.
package main

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	senders  = 4
	burst    = 256
	callers  = 64
	hops     = 4
	deadline = time.Minute
)

type (
	count struct{ amount int64 }
	echo  struct{ value int64 }
	sum   struct{}
)

// bench counts, or answers with what it got, by way of the next actor if there is one.
type bench struct {
	total   int64
	next    *actor.PID
	started *sync.WaitGroup
}

func (b *bench) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		b.started.Done()
	case *count:
		b.total += message.amount
	case *echo:
		if b.next == nil {
			ctx.Respond(message.value)
		} else {
			ctx.Forward(b.next)
		}
	case *sum:
		ctx.Respond(b.total)
	}
}

// spawn starts actors as the children of one parent, which supervises them.
type spawn struct {
	actors  int64
	started *sync.WaitGroup
}

func parent(ctx actor.Context) {
	if message, ok := ctx.Message().(*spawn); ok {
		props := propsOf(nil, message.started)
		for range message.actors {
			ctx.Spawn(props)
		}
	}
}

func propsOf(next *actor.PID, started *sync.WaitGroup) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &bench{next: next, started: started} })
}

func main() {
	operations, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	measure(os.Args[1], operations)
	fmt.Println(measure(os.Args[1], operations))
}

// measure runs one round in a system of its own.
func measure(scenario string, operations int64) string {
	runtime.GC() // what the round before left behind is not this round's
	system := actor.NewActorSystem()
	defer system.Shutdown()
	cpu, wall := cpuTime(), time.Now()
	run(system.Root, scenario, operations)
	return fmt.Sprintf(`{"scenario":%q,"operations":%d,"cpu_ns":%d,"wall_ns":%d}`,
		scenario, operations, cpuTime()-cpu, time.Since(wall).Nanoseconds())
}

func run(root *actor.RootContext, scenario string, operations int64) {
	switch scenario {
	case "fan-in":
		fanIn(root, add(root, nil), operations)
	case "call-1":
		call(root, add(root, nil), operations)
	case "call-64":
		callMany(root, add(root, nil), operations)
	case "chain":
		var first *actor.PID
		for range hops {
			first = add(root, first)
		}
		callMany(root, first, operations)
	case "spawn":
		var started sync.WaitGroup
		started.Add(int(operations))
		root.Send(root.Spawn(actor.PropsFromFunc(parent)), &spawn{operations, &started})
		started.Wait()
	default:
		log.Fatal("no scenario: ", scenario)
	}
}

func add(root *actor.RootContext, next *actor.PID) *actor.PID {
	var started sync.WaitGroup
	started.Add(1)
	pid := root.Spawn(propsOf(next, &started))
	started.Wait()
	return pid
}

func fanIn(root *actor.RootContext, pid *actor.PID, operations int64) {
	together(senders, func() {
		for sent := range operations / senders {
			root.Send(pid, &count{amount: 1})
			if sent%burst == 0 {
				runtime.Gosched()
			}
		}
	})
	if total := ask(root, pid, &sum{}); total != operations {
		log.Fatal("every message is counted: ", total)
	}
}

func call(root *actor.RootContext, pid *actor.PID, operations int64) {
	for value := range operations {
		ask(root, pid, &echo{value})
	}
}

func callMany(root *actor.RootContext, pid *actor.PID, operations int64) {
	together(callers, func() { call(root, pid, operations/callers) })
}

func ask(root *actor.RootContext, pid *actor.PID, message any) int64 {
	answer, err := root.RequestFuture(pid, message, deadline).Result()
	if err != nil {
		log.Fatal(err)
	}
	return answer.(int64)
}

func together(goroutines int, work func()) {
	var working sync.WaitGroup
	for range goroutines {
		working.Go(work)
	}
	working.Wait()
}

// cpuTime is what the process has used, in ns.
func cpuTime() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

package bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.ActorSystem;
import org.apache.pekko.actor.typed.javadsl.AskPattern;

/** The messaging scenarios on typed actors: {@code Main SCENARIO OPERATIONS}. */
final class Main {
    private static final int SENDERS = 4;
    private static final int CALLERS = 64;
    private static final int HOPS = 4;
    private static final Duration DEADLINE = Duration.ofSeconds(60);

    private final ActorSystem<Guardian.Command> system =
        ActorSystem.create(Guardian.create(), "bench");

    public static void main(String[] arguments) {
        var scenario = arguments[0];
        var operations = Long.parseLong(arguments[1]);
        new Main().measure(scenario, operations);
        System.out.println(new Main().measure(scenario, operations));
    }

    private String measure(String scenario, long operations) {
        var machine = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        var cpu = machine.getProcessCpuTime();
        var wall = System.nanoTime();
        run(scenario, operations);
        wall = System.nanoTime() - wall;
        cpu = machine.getProcessCpuTime() - cpu;
        system.terminate();
        system.getWhenTerminated().toCompletableFuture().join();
        return "{\"scenario\":\"%s\",\"operations\":%d,\"cpu_ns\":%d,\"wall_ns\":%d}"
            .formatted(scenario, operations, cpu, wall);
    }

    private void run(String scenario, long operations) {
        switch (scenario) {
            case "fan-in" -> fanIn(add(null), operations);
            case "call-1" -> call(add(null), 1, operations);
            case "call-64" -> call(add(null), CALLERS, operations);
            case "chain" -> {
                ActorRef<BenchActor.Message> first = null;
                for (int hop = 0; hop < HOPS; hop++) {
                    first = add(first);
                }
                call(first, CALLERS, operations);
            }
            case "spawn" -> repeat(operations, this::addLater).join();
            default -> throw new IllegalArgumentException("no scenario: " + scenario);
        }
    }

    private CompletableFuture<ActorRef<BenchActor.Message>> addLater() {
        return addLater(null);
    }

    private CompletableFuture<ActorRef<BenchActor.Message>> addLater(
            ActorRef<BenchActor.Message> next) {
        return AskPattern.<Guardian.Command, ActorRef<BenchActor.Message>>ask(
            system, replyTo -> new Guardian.Add(next, replyTo), DEADLINE, system.scheduler())
            .toCompletableFuture();
    }

    private ActorRef<BenchActor.Message> add(ActorRef<BenchActor.Message> next) {
        return addLater(next).join();
    }

    private void fanIn(ActorRef<BenchActor.Message> actor, long operations) {
        var senders = IntStream.range(0, SENDERS).mapToObj(sender -> {
            var sent = new CompletableFuture<Void>();
            system.tell(new Guardian.Send(actor, operations / SENDERS, sent));
            return sent;
        }).toArray(CompletableFuture[]::new);
        CompletableFuture.allOf(senders).join();
        var sum = AskPattern.<BenchActor.Message, Long>ask(
            actor, BenchActor.Sum::new, DEADLINE, system.scheduler())
            .toCompletableFuture().join();
        if (sum != operations) {
            throw new IllegalStateException("every message is counted");
        }
    }

    private void call(ActorRef<BenchActor.Message> actor, int callers, long operations) {
        var calling = IntStream.range(0, callers)
            .mapToObj(caller -> repeat(operations / callers, () -> echo(actor, caller)))
            .toArray(CompletableFuture[]::new);
        CompletableFuture.allOf(calling).join();
    }

    private CompletableFuture<Long> echo(ActorRef<BenchActor.Message> actor, long value) {
        return AskPattern.<BenchActor.Message, Long>ask(
            actor, replyTo -> new BenchActor.Echo(value, replyTo), DEADLINE, system.scheduler())
            .toCompletableFuture();
    }

    /** Does a step again and again, each after the answer to the last. */
    private CompletableFuture<Void> repeat(long times, Step step) {
        var done = new CompletableFuture<Void>();
        repeat(times, step, done);
        return done;
    }

    private void repeat(long times, Step step, CompletableFuture<Void> done) {
        if (times == 0) {
            done.complete(null);
            return;
        }
        // Without an executor the next step would run in the JDK's pool: a thread for each step.
        step.take().whenCompleteAsync((answer, failure) -> {
            if (failure != null) {
                done.completeExceptionally(failure);
            } else {
                repeat(times - 1, step, done);
            }
        }, system.executionContext());
    }

    /** Something that is asked and answered. */
    private interface Step {
        CompletableFuture<?> take();
    }
}

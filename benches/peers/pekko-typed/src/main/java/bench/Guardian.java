package bench;

import java.util.concurrent.CompletableFuture;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.SupervisorStrategy;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/** The parent of all actors: supervises what it starts, and runs the senders. */
final class Guardian {
    interface Command {}

    record Add(ActorRef<BenchActor.Message> next, ActorRef<ActorRef<BenchActor.Message>> replyTo)
        implements Command {}

    record Send(ActorRef<BenchActor.Message> to, long messages, CompletableFuture<Void> sent)
        implements Command {}

    private static final long BURST = 256;

    private Guardian() {}

    static Behavior<Command> create() {
        return Behaviors.setup(context -> Behaviors.receive(Command.class)
            .onMessage(Add.class, add -> add(context, add))
            .onMessage(Send.class, send -> {
                context.spawnAnonymous(sender(send)).tell(send.messages());
                return Behaviors.same();
            })
            .build());
    }

    private static Behavior<Command> add(ActorContext<Command> context, Add add) {
        var behavior = Behaviors.supervise(BenchActor.create(add.next()))
            .onFailure(SupervisorStrategy.restart());
        add.replyTo().tell(context.spawnAnonymous(behavior));
        return Behaviors.same();
    }

    /** Sends in bursts, and lets others run between them. */
    private static Behavior<Long> sender(Send send) {
        return Behaviors.receive((context, left) -> {
            var burst = Math.min(left, BURST);
            for (long sent = 0; sent < burst; sent++) {
                send.to().tell(new BenchActor.Count(1));
            }
            if (left > burst) {
                context.getSelf().tell(left - burst);
                return Behaviors.same();
            }
            send.sent().complete(null);
            return Behaviors.stopped();
        });
    }
}

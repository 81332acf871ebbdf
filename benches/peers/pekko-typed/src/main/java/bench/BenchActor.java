package bench;

import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.javadsl.AbstractBehavior;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;
import org.apache.pekko.actor.typed.javadsl.Receive;

/** Counts, or answers with what it got, by way of the next actor if there is one. */
final class BenchActor extends AbstractBehavior<BenchActor.Message> {
    interface Message {}

    record Count(long amount) implements Message {}

    record Echo(long value, ActorRef<Long> replyTo) implements Message {}

    record Sum(ActorRef<Long> replyTo) implements Message {}

    private final ActorRef<Message> next;
    private long sum;

    private BenchActor(ActorContext<Message> context, ActorRef<Message> next) {
        super(context);
        this.next = next;
    }

    static Behavior<Message> create(ActorRef<Message> next) {
        return Behaviors.setup(context -> new BenchActor(context, next));
    }

    @Override
    public Receive<Message> createReceive() {
        return newReceiveBuilder()
            .onMessage(Count.class, this::count)
            .onMessage(Echo.class, this::echo)
            .onMessage(Sum.class, this::sum)
            .build();
    }

    private Behavior<Message> count(Count count) {
        sum += count.amount();
        return this;
    }

    private Behavior<Message> echo(Echo echo) {
        if (next == null) {
            echo.replyTo().tell(echo.value());
        } else {
            next.tell(echo);
        }
        return this;
    }

    private Behavior<Message> sum(Sum ask) {
        ask.replyTo().tell(sum);
        return this;
    }
}

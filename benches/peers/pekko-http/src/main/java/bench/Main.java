package bench;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.apache.pekko.actor.typed.ActorSystem;
import org.apache.pekko.actor.typed.javadsl.Behaviors;
import org.apache.pekko.http.javadsl.Http;

/** The bench's job on Pekko HTTP: {@code Main ADDRESS DIRECTORY}. */
final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        var address = arguments[0];
        var colon = address.lastIndexOf(':');
        var host = address.substring(0, colon);
        var port = Integer.parseInt(address.substring(colon + 1));
        var quota = Optional.ofNullable(System.getenv("BENCH_QUOTA")).map(Long::parseLong);
        var data = Data.read(Path.of(arguments[1]));
        var routes = new Routes(data, quota.orElse(1_000_000_000L)).all();

        var system = ActorSystem.create(Behaviors.empty(), "bench");
        Http.get(system)
            .newServerAt(host, port)
            .bind(routes)
            .toCompletableFuture()
            .join()
            .addToCoordinatedShutdown(Duration.ofSeconds(5), system);
        System.out.println("ready " + address);
    }
}

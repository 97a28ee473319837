import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

/** What a JVM does with the options of {@code ss-local run}: {@code url|client|unresolved HOST PORT}; prints the body. */
public class ThroughProxies {
    public static void main(String[] args) throws Exception {
        String host = args[1];
        int port = Integer.parseInt(args[2]);
        URI uri = URI.create("http://" + host + ":" + port + "/java-" + args[0]);
        System.out.print(
                switch (args[0]) {
                    case "url" -> new String(uri.toURL().openStream().readAllBytes(), StandardCharsets.UTF_8);
                    case "client" ->
                            HttpClient.newHttpClient()
                                    .send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString())
                                    .body();
                    case "unresolved" -> bySocket(uri);
                    default -> throw new IllegalArgumentException(args[0]);
                });
    }

    /** The name goes to the proxy where the program does not look it up first. */
    private static String bySocket(URI uri) throws IOException {
        try (Socket socket = new Socket()) {
            socket.connect(InetSocketAddress.createUnresolved(uri.getHost(), uri.getPort()));
            String request = "GET " + uri.getPath() + " HTTP/1.0\r\nHost: " + uri.getAuthority() + "\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return answer.substring(answer.indexOf("\r\n\r\n") + 4);
        }
    }
}

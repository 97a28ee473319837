import java.io.InputStream;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * Fetches a URL through an HTTP proxy and prints the SHA-256 of the body.
 *
 * <p>{@code url URL [USER PASSWORD]}: HttpURLConnection, whose proxy is set by -Dhttp.proxyHost and -Dhttp.proxyPort.
 * {@code client PORT URL [USER PASSWORD]}: java.net.http.HttpClient, which tries to go on as HTTP/2.
 */
public class ThroughHttp {
    public static void main(String[] args) throws Exception {
        byte[] body = switch (args[0]) {
            case "url" -> byUrl(args[1], authenticator(args, 2));
            case "client" -> byClient(Integer.parseInt(args[1]), args[2], authenticator(args, 3));
            default -> throw new IllegalArgumentException(args[0]);
        };
        System.out.print(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body)));
    }

    private static Authenticator authenticator(String[] args, int from) {
        return new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                if (args.length <= from) return null;
                return new PasswordAuthentication(args[from], args[from + 1].toCharArray());
            }
        };
    }

    private static byte[] byUrl(String url, Authenticator authenticator) throws Exception {
        Authenticator.setDefault(authenticator);
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        try (InputStream body = connection.getInputStream()) {
            return body.readAllBytes();
        }
    }

    private static byte[] byClient(int port, String url, Authenticator authenticator) throws Exception {
        HttpClient client = HttpClient.newBuilder()
                .proxy(ProxySelector.of(new InetSocketAddress("127.0.0.1", port)))
                .authenticator(authenticator)
                .version(HttpClient.Version.HTTP_2)
                .build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).build();
        HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
        if (response.statusCode() != 200) throw new IllegalStateException("status " + response.statusCode());
        return response.body();
    }
}

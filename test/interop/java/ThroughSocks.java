import java.io.InputStream;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.PasswordAuthentication;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * What a JVM does with -DsocksProxyHost and -DsocksProxyPort.
 *
 * <p>{@code echo HOST PORT}: java.net.Socket; prints what came back after a half-close.
 * {@code http URL [USER PASSWORD]}: HttpURLConnection; prints the SHA-256 of the body.
 */
public class ThroughSocks {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "echo" -> echo(args[1], Integer.parseInt(args[2]));
            case "http" -> {
                if (args.length > 2) logInAs(args[2], args[3]);
                http(args[1]);
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void echo(String host, int port) throws Exception {
        try (Socket socket = new Socket(host, port)) {
            socket.getOutputStream().write("from the JVM".getBytes(StandardCharsets.UTF_8));
            socket.shutdownOutput();
            System.out.print(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    /** The only way: JDK 17 reads -Djava.net.socks.username nowhere, and sends user.name and an empty password. */
    private static void logInAs(String user, String password) {
        Authenticator.setDefault(new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication(user, password.toCharArray());
            }
        });
    }

    private static void http(String url) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        try (InputStream body = connection.getInputStream()) {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(body.readAllBytes());
            System.out.print(HexFormat.of().formatHex(digest));
        }
    }
}

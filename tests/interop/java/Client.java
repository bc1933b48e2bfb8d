import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Apache's own client, driven line by line by test_java.py. A command on
 * standard input ("get /a watch"), and on standard output its answer ("= ...")
 * and, whenever they come, the events ("! STATE TYPE PATH").
 */
public class Client {
    private ZooKeeper zk;
    private final ExecutorService behind = Executors.newSingleThreadExecutor();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(
            new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Client client = new Client();
        String line;
        while ((line = in.readLine()) != null) {
            client.answer("= ", line.split(" "));
        }
        System.exit(0);
    }

    private void answer(String mark, String[] words) {
        try {
            say(mark + run(words));
        } catch (KeeperException e) {
            say(mark + e.code());
        } catch (Exception e) {
            say(mark + e);
        }
    }

    private static synchronized void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    private void onEvent(WatchedEvent event) {
        say("! " + event.getState() + " " + event.getType() + " "
            + event.getPath());
    }

    private String run(String[] w) throws Exception {
        switch (w[0]) {
        case "connect": // HOSTS TIMEOUT
            zk = new ZooKeeper(w[1], Integer.parseInt(w[2]), this::onEvent);
            return "ok";
        case "move": // HOSTS: the session goes to one of these
            zk.updateServerList(w[1]);
            return "ok";
        case "session":
            return Long.toUnsignedString(zk.getSessionId()) + " "
                + zk.getState();
        case "create": // PATH DATA MODE
            return zk.create(w[1], bytes(w[2]), ZooDefs.Ids.OPEN_ACL_UNSAFE,
                             CreateMode.valueOf(w[3]));
        case "set": // PATH DATA VERSION
            return "" + zk.setData(w[1], bytes(w[2]), Integer.parseInt(w[3]))
                .getVersion();
        case "later": // a command whose answer is not waited for: "~ ..."
            String[] rest = new String[w.length - 1];
            System.arraycopy(w, 1, rest, 0, rest.length);
            behind.submit(() -> answer("~ ", rest));
            return "ok";
        case "get": { // PATH [watch]
            Stat stat = new Stat();
            byte[] data = zk.getData(w[1], w.length > 2, stat);
            return new String(data, StandardCharsets.UTF_8) + " "
                + stat.getVersion() + " "
                + Long.toUnsignedString(stat.getEphemeralOwner());
        }
        case "exists": { // PATH [watch]
            Stat stat = zk.exists(w[1], w.length > 2);
            return stat == null ? "no" : "yes";
        }
        case "children": { // PATH
            List<String> names = zk.getChildren(w[1], false);
            names.sort(null);
            return String.join(" ", names);
        }
        case "delete": // PATH
            zk.delete(w[1], -1);
            return "ok";
        case "sync": // PATH
            return sync(w[1]);
        case "watch": // PATH PERSISTENT|PERSISTENT_RECURSIVE
            zk.addWatch(w[1], this::onEvent, AddWatchMode.valueOf(w[2]));
            return "ok";
        case "multi":
            return multi(w);
        case "close":
            zk.close();
            return "ok";
        default:
            return "what? " + w[0];
        }
    }

    private String sync(String path) throws Exception {
        java.util.concurrent.CompletableFuture<Integer> done =
            new java.util.concurrent.CompletableFuture<>();
        zk.sync(path, (code, p, context) -> done.complete(code), null);
        return KeeperException.Code.get(done.get()).toString();
    }

    /** Words create:PATH:DATA, set:PATH:DATA, check:PATH:VERSION, delete:PATH.
     * The answer has a word for each. */
    private String multi(String[] w) throws Exception {
        List<Op> ops = new ArrayList<>();
        for (int i = 1; i < w.length; i++) {
            String[] part = w[i].split(":");
            switch (part[0]) {
            case "create":
                ops.add(Op.create(part[1], bytes(part[2]),
                                  ZooDefs.Ids.OPEN_ACL_UNSAFE,
                                  CreateMode.PERSISTENT));
                break;
            case "set":
                ops.add(Op.setData(part[1], bytes(part[2]), -1));
                break;
            case "check":
                ops.add(Op.check(part[1], Integer.parseInt(part[2])));
                break;
            default:
                ops.add(Op.delete(part[1], -1));
                break;
            }
        }
        List<OpResult> results;
        try {
            results = zk.multi(ops);
        } catch (KeeperException e) {
            results = e.getResults();
            if (results == null) {
                throw e;
            }
        }
        StringBuilder text = new StringBuilder();
        for (OpResult result : results) {
            text.append(text.length() > 0 ? " " : "");
            if (result instanceof OpResult.ErrorResult) {
                text.append(KeeperException.Code.get(
                    ((OpResult.ErrorResult) result).getErr()));
            } else {
                text.append("done");
            }
        }
        return text.toString();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}

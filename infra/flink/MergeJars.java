import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Merges a folder of classes and a folder of jars into one runnable jar.
 *
 * <p>Every submission stages the job server's own jars to Flink: 160 of them cost 20 s until the first output, one
 * costs a second or two. Of a name that occurs twice the first is kept (the mended classes come first), service
 * files are joined, signatures are dropped because they no longer fit. The result is written beside its place and
 * renamed, so an interrupted build leaves nothing half-made.
 *
 * <p>Usage: {@code java MergeJars.java OUT.jar MAIN_CLASS CLASSES_FOLDER JARS_FOLDER}
 */
public final class MergeJars {
  private final Set<String> seen = new HashSet<>();
  private final Map<String, StringBuilder> services = new TreeMap<>();
  private final ZipOutputStream out;

  private MergeJars(ZipOutputStream out) {
    this.out = out;
    out.setLevel(Deflater.BEST_SPEED);
  }

  public static void main(String[] arguments) throws IOException {
    Path target = Path.of(arguments[0]);
    Path unfinished = target.resolveSibling(target.getFileName() + ".tmp");
    try (ZipOutputStream zip =
        new ZipOutputStream(new BufferedOutputStream(Files.newOutputStream(unfinished), 1 << 20))) {
      MergeJars merge = new MergeJars(zip);
      merge.add(
          "META-INF/MANIFEST.MF",
          ("Manifest-Version: 1.0\r\nMain-Class: " + arguments[1] + "\r\nMulti-Release: true\r\n\r\n")
              .getBytes(StandardCharsets.UTF_8));
      merge.addFolder(Path.of(arguments[2]));
      for (Path jar : sorted(Path.of(arguments[3]))) {
        merge.addJar(jar);
      }
      merge.addServices();
    }
    Files.move(unfinished, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    System.out.println("merged into " + target + ", " + Files.size(target) / 1_000_000 + " MB");
  }

  private static List<Path> sorted(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".jar")).sorted().collect(Collectors.toList());
    }
  }

  private void addFolder(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().collect(Collectors.toList())) {
        add(folder.relativize(file).toString().replace('\\', '/'), Files.readAllBytes(file));
      }
    }
  }

  private void addJar(Path jar) throws IOException {
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      Enumeration<? extends ZipEntry> entries = zip.entries();
      while (entries.hasMoreElements()) {
        ZipEntry entry = entries.nextElement();
        if (entry.isDirectory() || !wanted(entry.getName())) {
          continue;
        }
        try (InputStream content = zip.getInputStream(entry)) {
          byte[] bytes = content.readAllBytes();
          if (entry.getName().startsWith("META-INF/services/")) {
            services
                .computeIfAbsent(entry.getName(), name -> new StringBuilder())
                .append(new String(bytes, StandardCharsets.UTF_8))
                .append('\n');
          } else {
            add(entry.getName(), bytes);
          }
        }
      }
    }
  }

  private static boolean wanted(String name) {
    boolean signature = name.matches("META-INF/[^/]+\\.(SF|RSA|DSA|EC)");
    return !signature && !name.endsWith("module-info.class");
  }

  private void addServices() throws IOException {
    for (Map.Entry<String, StringBuilder> service : services.entrySet()) {
      add(service.getKey(), service.getValue().toString().getBytes(StandardCharsets.UTF_8));
    }
  }

  private void add(String name, byte[] content) throws IOException {
    if (seen.add(name)) {
      ZipEntry entry = new ZipEntry(name);
      entry.setTime(0L);
      out.putNextEntry(entry);
      out.write(content);
      out.closeEntry();
    }
  }
}

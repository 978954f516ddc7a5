import java.nio.file.Files;
import java.nio.file.Path;
import javassist.CannotCompileException;
import javassist.ClassPool;
import javassist.CtBehavior;
import javassist.CtClass;
import javassist.CtField;
import javassist.CtNewConstructor;
import javassist.CtNewMethod;
import javassist.expr.ExprEditor;
import javassist.expr.MethodCall;

/**
 * Mends five faults of Beam's portable Flink runner that a streaming job with a side input and polling sources
 * cannot live with. README.md beside this file tells each story; the short form stands at each mend.
 *
 * <p>Usage: {@code java -cp 'LIB/*' MendFlinkRunner.java OUT_FOLDER}. Fails if a class no longer looks as expected,
 * so that a newer Beam is noticed and not silently damaged.
 */
public final class MendFlinkRunner {
  private static final String HANDLERS =
      "org.apache.beam.runners.fnexecution.control.BundleCheckpointHandlers$StateAndTimerBundleCheckpointHandler";
  private static final String STREAMING =
      "org.apache.beam.runners.flink.translation.wrappers.streaming.ExecutableStageDoFnOperator$SdkHarnessDoFnRunner";
  private static final String NAMESPACE = "org.apache.beam.runners.flink.ResidualNamespace";

  private final ClassPool pool = ClassPool.getDefault();
  private final Path out;

  private MendFlinkRunner(Path out) {
    this.out = out;
  }

  public static void main(String[] arguments) throws Exception {
    Path out = Path.of(arguments[0]);
    Files.createDirectories(out);
    MendFlinkRunner mend = new MendFlinkRunner(out);
    mend.sideInputCoder();
    mend.residualsOfSplittableDoFns();
    mend.lastStageWithSideInput();
    mend.optionsInState();
  }

  /**
   * A side input and checkpoints: the handler keeps bare values in state but takes the coder of windowed ones, so
   * every checkpoint fails with {@code ClassCastException: String cannot be cast to WindowedValue}.
   */
  private void sideInputCoder() throws Exception {
    CtClass handler = pool.get("org.apache.beam.runners.core.SideInputHandler");
    Edit edit =
        new Edit(
            "getCoderInternal",
            "{ $_ = $proceed($$);"
                + " if ($_ instanceof org.apache.beam.sdk.util.WindowedValue.WindowedValueCoder) {"
                + "   $_ = ((org.apache.beam.sdk.util.WindowedValue.WindowedValueCoder) $_).getValueCoder();"
                + "   if ($_ instanceof org.apache.beam.sdk.coders.IterableLikeCoder) {"
                + "     $_ = ((org.apache.beam.sdk.coders.IterableLikeCoder) $_).getElemCoder(); } } }");
    edit.apply(handler.getDeclaredConstructors(), 1);
    write(handler);
  }

  /**
   * A splittable DoFn that defers its remainder, as every polling source does. Each remainder was kept under a state
   * name of its own, and Flink keeps a table per name for ever: the heap and every checkpoint grow until the job dies
   * (apache/beam#27648). Now all share one name and differ by namespace, and are cleared when taken up again. And
   * the delay asked for was cut to whole seconds, so a poll every half second ran as fast as it could.
   */
  private void residualsOfSplittableDoFns() throws Exception {
    writeNamespace();
    String shared =
        "{ String id = $2.getId();"
            + " if (id.startsWith(\"sdf_checkpoint\")) {"
            + ("   $_ = ($r) $proceed(new " + NAMESPACE + "($1, id),")
            + "       org.apache.beam.runners.core.StateTags.tagForSpec(\"sdf_checkpoint\", $2.getSpec()));"
            + " } else { $_ = ($r) $proceed($$); } }";
    String readOnce = "{ $_ = $proceed($$); ((org.apache.beam.sdk.state.State) $0).clear(); }";

    CtClass writer = pool.get(HANDLERS);
    CtBehavior[] onCheckpoint = writer.getDeclaredMethods("onCheckpoint");
    new Edit("state", shared).apply(onCheckpoint, 1);
    new Edit("hasRequestedTimeDelay", null).apply(onCheckpoint, 1);
    new Edit("com.google.protobuf.Duration", "getSeconds", "{ $_ = $0.getSeconds() * 1000L + $0.getNanos() / 1000000L; }")
        .apply(onCheckpoint, 1);
    new Edit("org.joda.time.Duration", "millis", "{ $_ = $proceed($1 / 1000L); }").apply(onCheckpoint, 1);
    write(writer);

    CtClass reader = pool.get(STREAMING);
    CtBehavior[] onTimer = reader.getDeclaredMethods("onTimer");
    new Edit("state", shared).apply(onTimer, 1);
    new Edit("org.apache.beam.sdk.state.ValueState", "read", readOnce).apply(onTimer, 1);
    write(reader);

    CtClass batch = pool.get("org.apache.beam.runners.flink.translation.functions.FlinkExecutableStageFunction");
    Edit inBatch = new Edit("state", shared);
    inBatch.apply(batch.getDeclaredMethods(), 1);
    write(batch);
  }

  /**
   * A stage that is keyed, as that of a splittable DoFn is, and has a side input: the translator makes its operator but
   * never tells the environment of it. Flink then runs it only if another operator reads from it, so that a pipeline
   * whose source is fused with everything up to its sink starts, and does nothing.
   */
  private void lastStageWithSideInput() throws Exception {
    CtClass translator = pool.get("org.apache.beam.runners.flink.FlinkStreamingPortablePipelineTranslator");
    new Edit(
            "TwoInputTransformation",
            "setStateKeySelectors",
            "{ $proceed($$); context.getExecutionEnvironment().addOperator($0); }")
        .apply(translator.getDeclaredMethods("translateExecutableStage"), 1);
    write(translator);
  }

  /**
   * Every serializer of a windowed value keeps the job's options as text, and a checkpoint writes the serializers of all
   * state anew: once a second the same text, dozens of times, by Java's serialization. More than half of that text is
   * what the options would show in a UI, which nobody reads back.
   */
  private void optionsInState() throws Exception {
    CtClass options = pool.get("org.apache.beam.runners.core.construction.SerializablePipelineOptions");
    String tree = "com.fasterxml.jackson.databind.node.ObjectNode";
    new Edit(
            "ObjectMapper",
            "writeValueAsString",
            ("{ " + tree + " whole = (" + tree + ") $0.readTree($0.writeValueAsString($1));")
                + " whole.remove(\"display_data\"); $_ = whole.toString(); }")
        .apply(options.getDeclaredMethods("serializeToJson"), 1);
    write(options);
  }

  /** Adds a state namespace that is another one with a name appended. */
  private void writeNamespace() throws Exception {
    CtClass namespace = pool.makeClass(NAMESPACE);
    namespace.addInterface(pool.get("org.apache.beam.runners.core.StateNamespace"));
    namespace.addField(CtField.make("private final String key;", namespace));
    namespace.addConstructor(
        CtNewConstructor.make(
            "public ResidualNamespace(org.apache.beam.runners.core.StateNamespace outer, String id) {"
                + " this.key = outer.stringKey() + id + \"/\"; }",
            namespace));
    for (String method :
        new String[] {
          "public String stringKey() { return this.key; }",
          "public void appendTo(Appendable sink) throws java.io.IOException { sink.append(this.key); }",
          "public Object getCacheKey() { return this.key; }",
          "public int hashCode() { return this.key.hashCode(); }",
          "public boolean equals(Object other) {"
              + (" return other instanceof " + NAMESPACE)
              + (" && this.key.equals(((" + NAMESPACE + ") other).key); }"),
        }) {
      namespace.addMethod(CtNewMethod.make(method, namespace));
    }
    write(namespace);
  }

  private void write(CtClass mended) throws Exception {
    mended.writeFile(out.toString());
    System.out.println("mended " + mended.getName());
  }

  /** Replaces calls of a method, and insists on how many there are. */
  private static final class Edit extends ExprEditor {
    private final String owner;
    private final String method;
    private final String replacement;
    private int found;

    Edit(String method, String replacement) {
      this("", method, replacement);
    }

    Edit(String owner, String method, String replacement) {
      this.owner = owner;
      this.method = method;
      this.replacement = replacement;
    }

    void apply(CtBehavior[] where, int expected) throws CannotCompileException {
      for (CtBehavior behavior : where) {
        behavior.instrument(this);
      }
      if (found != expected) {
        throw new IllegalStateException(
            where[0].getDeclaringClass().getName() + ": expected " + expected + " call(s) of " + method + ", found "
                + found + "; this Beam differs from the one the mend was written for: see infra/flink/README.md");
      }
    }

    @Override
    public void edit(MethodCall call) throws CannotCompileException {
      if (call.getMethodName().equals(method) && call.getClassName().endsWith(owner)) {
        found++;
        if (replacement != null) {
          call.replace(replacement);
        }
      }
    }
  }
}

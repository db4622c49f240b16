using System.Diagnostics;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>
/// One tool call against 10 to 10,000 policies, beside cedar-wasm with the same set preparsed. Both take turns, round by round, in one run; each figure is the
/// median of its rounds. Evaluation alone is a request and entities at hand, as cedar-wasm cannot have them: its time includes reading both from JavaScript.
/// Parsing and indexing is measured warm, like the rest, and once cold: the very first set of the process, most of which is the runtime compiling the parser.
/// </summary>
internal static class CedarBench
{
    private const int FirstSize = 1_000;

    private static readonly int[] Sizes = [10, 100, 1_000, 10_000];

    public static async Task<Dictionary<string, double>> RunAsync(int seconds, int rounds, Action<string> say)
    {
        using var wasm = new WasmPeer();
        var figures = new Dictionary<string, double>();
        int milliseconds = Math.Max(50, seconds * 1000 / (Sizes.Length * 2));
        figures["load_ms_first"] = Load(await wasm.LoadAsync(FirstSize));
        say($"{FirstSize,6} policies: parse and index as the first thing of the process {figures["load_ms_first"]:N1} ms");
        // It compiles itself in the background while it begins to run; that is not to be measured as ours.
        await wasm.LoadAsync(Sizes[0]);
        await wasm.RunAsync(Sizes[0], 2000);
        await Task.Delay(1000);
        foreach (int size in Sizes)
        {
            Workload workload = await wasm.LoadAsync(size);
            Subject subject = new(workload);
            var ours = new List<double>();
            var raw = new List<double>();
            var theirs = new List<double>();
            for (int round = -1; round < rounds; round++) // the first one warms up
            {
                double own = Time(subject.Decide, milliseconds), call = Time(subject.DecideRaw, milliseconds);
                (double peer, string decision) = await wasm.RunAsync(size, milliseconds);
                if (!string.Equals(decision, subject.Decide().ToString(), StringComparison.OrdinalIgnoreCase)) throw new InvalidOperationException("The two do not agree.");
                if (round < 0) continue;
                ours.Add(own);
                raw.Add(call);
                theirs.Add(peer);
            }
            figures[$"eval_ns_{size}"] = Median(ours);
            figures[$"raw_ns_{size}"] = Median(raw);
            figures[$"wasm_ns_{size}"] = Median(theirs);
            figures[$"alloc_bytes_{size}"] = Allocated(subject.Decide);
            figures[$"raw_alloc_bytes_{size}"] = Allocated(subject.DecideRaw);
            figures[$"load_ms_{size}"] = Median(Loads(workload, milliseconds));
            say($"{size,6} policies: {figures[$"eval_ns_{size}"],9:N0} ns, from raw bytes {figures[$"raw_ns_{size}"],9:N0} ns, {figures[$"alloc_bytes_{size}"]:N0} and {figures[$"raw_alloc_bytes_{size}"]:N0} B; " +
                $"parse and index {figures[$"load_ms_{size}"]:N1} ms; cedar-wasm {figures[$"wasm_ns_{size}"]:N0} ns");
        }
        figures["alloc_bytes"] = Sizes.Max(s => figures[$"alloc_bytes_{s}"]);
        return figures;
    }

    /// <summary>After as long a time to warm up; at least three.</summary>
    private static List<double> Loads(Workload workload, int milliseconds)
    {
        var times = new List<double>();
        var all = Stopwatch.StartNew();
        while (all.ElapsedMilliseconds < milliseconds) Load(workload);
        all.Restart();
        while (all.ElapsedMilliseconds < milliseconds || times.Count < 3) times.Add(Load(workload));
        return times;
    }

    private static double Load(Workload workload)
    {
        long start = Stopwatch.GetTimestamp();
        Authorizer.CedarCompatible(PolicySet.Parse(workload.Policies).Value);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>Nanoseconds a call.</summary>
    private static double Time(Func<Decision> decide, int milliseconds)
    {
        const int Batch = 64;
        long calls = 0, start = Stopwatch.GetTimestamp(), end = start + (milliseconds * Stopwatch.Frequency / 1000), now;
        do
        {
            for (int i = 0; i < Batch; i++)
                if (decide() != Decision.Allow) throw new InvalidOperationException("The workload is allowed.");
            calls += Batch;
            now = Stopwatch.GetTimestamp();
        }
        while (now < end);
        return Stopwatch.GetElapsedTime(start, now).TotalNanoseconds / calls;
    }

    private static double Allocated(Func<Decision> decide)
    {
        const int Calls = 10_000;
        decide();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Calls; i++) decide();
        return (double)(GC.GetAllocatedBytesForCurrentThread() - before) / Calls;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }

    /// <param name="Request">Principal, action, resource, context.</param>
    private sealed record Workload(string Policies, JsonElement Entities, JsonElement Request);

    /// <summary>The call, ready to be decided in both ways.</summary>
    private sealed class Subject
    {
        private readonly Authorizer authorizer;
        private readonly ToolCallAuthorizer calls;
        private readonly EntityStore entities;
        private readonly Request request;
        private readonly CedarRecord session;
        private readonly byte[] arguments;
        private readonly AuthorizationResponse response = new();

        public Subject(Workload workload)
        {
            PolicySet policies = PolicySet.Parse(workload.Policies).Value;
            authorizer = Authorizer.CedarCompatible(policies);
            entities = EntityStore.ParseJson(Encoding.UTF8.GetBytes(workload.Entities.GetRawText())).Value;
            request = Request.ParseJson(Encoding.UTF8.GetBytes(workload.Request.GetRawText())).Value;

            // The same call as it arrives: the arguments as bytes, all else at hand.
            arguments = Encoding.UTF8.GetBytes(workload.Request.GetProperty("context").GetProperty("arguments").GetRawText());
            session = new(request.Context.Where(a => a.Key != "arguments"));
            var input = new RecordType([
                new("amount", new(CedarType.Long)), new("region", new(CedarType.String)), new("path", new(CedarType.String)), new("note", new(CedarType.String)),
            ]);
            ToolBinding tool = new(request.Action.Id, entities.Find(request.Action)!, null, [request.Principal.Type], [request.Resource.Type], input);
            calls = new(policies, new([tool], new("arguments", "", null, null), EntityStore.Empty, null, []), AuthorizationMode.CedarCompatible);
        }

        public Decision Decide() => authorizer.Authorize(request, entities, response);

        public Decision DecideRaw() => calls.Authorize(
            new ToolCall { Principal = request.Principal, Tool = request.Action.Id, Resource = request.Resource, Session = session, Arguments = arguments }, entities, response);
    }

    /// <summary>cedar-wasm in a process of its own.</summary>
    private sealed class WasmPeer : IDisposable
    {
        private readonly Process node;

        public WasmPeer()
        {
            if (InteropClients.Requirement.Skip is { } missing) throw new InvalidOperationException(missing);
            if (Vectors.Has("cedar").Skip is { } absent) throw new InvalidOperationException(absent);
            node = Process.Start(new ProcessStartInfo(InteropClients.Node!, [Path.Combine(InteropClients.Folder, "cedar-bench.mjs")])
            {
                RedirectStandardInput = true, RedirectStandardOutput = true,
            })!;
        }

        public async Task<Workload> LoadAsync(int size)
        {
            JsonElement answer = await AskAsync(new { op = "load", generator = Path.GetFullPath(Path.Combine(Vectors.Folder, "cedar", "workload", "gen.mjs")), n = size });
            return new(answer.GetProperty("policies").GetString()!, answer.GetProperty("entities"), answer.GetProperty("request"));
        }

        public async Task<(double Nanoseconds, string Decision)> RunAsync(int size, int milliseconds)
        {
            JsonElement answer = await AskAsync(new { op = "run", n = size, milliseconds });
            return (answer.GetProperty("ns").GetDouble(), answer.GetProperty("decision").GetString()!);
        }

        public void Dispose()
        {
            node.Kill();
            node.Dispose();
        }

        private async Task<JsonElement> AskAsync(object command)
        {
            await node.StandardInput.WriteLineAsync(JsonSerializer.Serialize(command));
            await node.StandardInput.FlushAsync();
            string line = await node.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(120)) ?? throw new InvalidOperationException("cedar-wasm ended.");
            return JsonElement.Parse(line);
        }
    }
}

using System.Diagnostics;
using System.Text;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Bench;

/// <summary>What the guard decides a call by, alone: policies, caller and session at hand, the arguments as bytes.</summary>
internal static class DecisionBench
{
    /// <summary>Policies of all kinds that the echo tools' server could have; nothing but <see cref="Blocked"/> is denied by them.</summary>
    public const int Policies = 100;

    public const string Blocked = "blocked";

    private const string Schema = """{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}""";

    /// <summary>A third is about one agent, a third about one group, a third reads the arguments of every call.</summary>
    public static string Text()
    {
        var text = new StringBuilder();
        text.AppendLine("""@id("tools") permit (principal, action in Mcp::Action::"tools:all", resource);""");
        text.AppendLine($$"""@id("blocked") forbid (principal, action == Mcp::Action::"echo", resource) when { context.input.message == "{{Blocked}}" };""");
        for (var n = 2; n < Policies; n++)
            text.AppendLine((n % 3) switch
            {
                0 => $"""@id("agent-{n}") forbid (principal == Mcp::Agent::"agt_{n}", action in Mcp::Action::"sensitivity:destructive", resource);""",
                1 => $$"""@id("group-{{n}}") permit (principal in Mcp::Group::"group-{{n}}", action == Mcp::Action::"echo", resource) when { context.input.message like "{{n}}*" };""",
                _ => $$"""@id("message-{{n}}") forbid (principal, action, resource) when { context.input has message && context.input.message like "*secret-{{n}}*" };""",
            });
        return text.ToString();
    }

    /// <summary>The median of many, in microseconds, and bytes a decision.</summary>
    public static (double Microseconds, double Bytes) Run(string resource, TimeSpan length)
    {
        var model = ToolServerModel.Create([Tool(EchoCall.Echo, ToolSensitivity.Read), Tool(EchoCall.Erase, ToolSensitivity.Destructive)]).Value;
        var policies = new ToolCallAuthorizer(PolicySet.Parse(Text(), PolicyIds.FromAnnotation).Value, model);
        var caller = new McpCaller { Kind = McpSubject.Client, Subject = "bench", Client = "bench" };
        var (principal, entities, server) = (caller.Principal, caller.Entities(), McpCaller.Server(resource));
        CedarRecord session = caller.Session(TimeProvider.System.GetUtcNow(), null, null);
        var arguments = Encoding.UTF8.GetBytes($$"""{"message":"{{EchoCall.Said}}"}""");
        var response = new AuthorizationResponse();

        var times = new List<double>(1 << 16);
        long start = Stopwatch.GetTimestamp(), before = 0, measured = 0;
        while (Stopwatch.GetElapsedTime(start) < length)
        {
            const int Batch = 32;
            var warm = Stopwatch.GetElapsedTime(start) > length / 4;
            if (warm && measured == 0)
                before = GC.GetAllocatedBytesForCurrentThread();
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < Batch; i++)
                Decide();
            if (!warm)
                continue;
            measured += Batch;
            if (times.Count < times.Capacity)
                times.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds / Batch);
        }
        var bytes = (double)(GC.GetAllocatedBytesForCurrentThread() - before) / measured;
        times.Sort();
        return (times[times.Count / 2], bytes);

        void Decide()
        {
            var call = new ToolCall { Principal = principal, Tool = EchoCall.Echo, Resource = server, Session = session, Arguments = arguments };
            if (policies.Authorize(call, entities, response) != Decision.Allow)
                throw new InvalidOperationException("The call is allowed.");
        }
    }

    private static McpTool Tool(string name, ToolSensitivity sensitivity) => new(name, Encoding.UTF8.GetBytes(Schema), sensitivity, null);
}

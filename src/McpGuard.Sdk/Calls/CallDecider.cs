using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Connection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Calls;

/// <summary>Decides and records in one step: what is not recorded is not allowed.</summary>
internal sealed partial class CallDecider(
    CallRules rules, ItemRules items, Spool spool, GuardMetrics metrics, GuardConnection connection, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<CallDecider> logger)
{
    public async ValueTask<CallDecision> Decide(Caller caller, McpMessage message, CancellationToken cancellationToken)
    {
        // Known before it is made: other decision points are told it.
        string id = Id.New(Id.Decision, time.GetUtcNow());
        long began = metrics.Began();
        Ruling ruling;
        try
        {
            ruling = message.Method == McpMethods.ToolsCall ? await rules.Tool(caller, message, id, cancellationToken) : await items.Decide(caller, message, id, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.Failed(logger, e.GetType().Name, message.Method);
            ruling = new(Denial.Unavailable("guard_error"));
        }
        CallDecision decision = await Record(caller, message, id, ruling);
        metrics.Decided(decision, began);
        return decision;
    }

    /// <summary>After the handler: how it ended.</summary>
    /// <param name="how">Null: it is not to be recorded yet, or was before.</param>
    public void Finished(CallDecision decision, HandlerOutcome? how)
    {
        if (how is null) return;
        metrics.Finished(decision, how);
        DateTimeOffset now = time.GetUtcNow();
        (string? trace, string? span) = Trace(decision.Message);
        spool.Enqueue(new GuardEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.CallFinished, Outcome = how.Success ? "success" : "error", Reason = how.Reason,
            Cause = decision.Id, Jti = decision.Caller.Token.Jti, Resource = options.Value.Resource, Tool = decision.Tool?.Name, Node = connection.GuardId,
            TraceId = trace, SpanId = span,
        });
    }

    /// <summary>While the handler runs: it got a token for another tool server, or was refused one.</summary>
    /// <param name="jti">Of that token; null when it was refused.</param>
    public void WentOn(CallDecision decision, string resource, string? jti, string? reason = null)
    {
        DateTimeOffset now = time.GetUtcNow();
        (string? trace, string? span) = Trace(decision.Message);
        spool.Enqueue(new GuardEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.DownstreamUsed, Outcome = jti is null ? "refused" : "success", Reason = reason,
            Cause = decision.Id, Jti = decision.Caller.Token.Jti, Resource = options.Value.Resource, Tool = decision.Tool?.Name, Downstream = (resource, jti), Node = connection.GuardId,
            TraceId = trace, SpanId = span,
        });
    }

    private async ValueTask<CallDecision> Record(Caller caller, McpMessage message, string id, Ruling ruling)
    {
        DateTimeOffset now = time.GetUtcNow();
        bool allow = ruling.Denial is null;
        (string? trace, string? span) = Trace(message);
        var happened = new GuardEvent
        {
            Id = id, Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.CallDecided, Outcome = allow ? "allow" : "deny", Decision = allow ? "allow" : "deny",
            Reason = ruling.Denial is { } denial ? denial.Reason is null || denial.Reason == denial.Code ? denial.Code : $"{denial.Code}: {denial.Reason}" : null,
            // Never the name a caller gave: only that of a tool there is.
            Tool = ruling.Tool?.Name, Method = message.Method == McpMethods.ToolsCall ? null : message.Method,
            Approval = ruling.Approval, ArgsDigest = ruling.Canonical.IsEmpty ? null : connection.Digest?.Of(ruling.Canonical.Span), Jti = caller.Token.Jti, Resource = options.Value.Resource,
            PolicyHash = ruling.PolicyHash, PolicyIds = ruling.PolicyIds, Policy = ruling.Policy?.Decision, Shadow = ruling.Policy?.Shadow, Points = ruling.Points,
            Request = ruling.Policy?.Request ?? default, Node = connection.GuardId, TraceId = trace, SpanId = span,
        };
        // A read survives the process; what changes something survives the machine (design: declared numbers).
        bool disk = allow && (options.Value.RecordDurability == RecordDurability.Disk || ruling.Tool is { Reads: false });
        bool recorded = await spool.Append(happened, disk ? Durability.Disk : Durability.Written);
        if (!recorded) Log.NotRecorded(logger);
        return new CallDecision
        {
            Id = id, Message = message, Caller = caller, Tool = ruling.Tool, Arguments = ruling.Arguments,
            Approval = ruling.Approval, Denial = recorded ? ruling.Denial : Denial.Unavailable("not_recorded"),
        };
    }

    /// <summary>W3C trace context from <c>_meta.traceparent</c>; anything malformed is as if absent.</summary>
    private static (string? TraceId, string? SpanId) Trace(McpMessage message)
    {
        JsonElement parent = message.Meta("traceparent");
        if (parent.ValueKind != JsonValueKind.String || parent.GetString() is not { Length: 55 } text || text[2] != '-' || text[35] != '-' || text[52] != '-') return default;
        string trace = text[3..35], span = text[36..52];
        return trace.All(IsHex) && span.All(IsHex) ? (trace, span) : default;
    }

    private static bool IsHex(char c) => char.IsAsciiDigit(c) || c is >= 'a' and <= 'f';

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "A request could not be decided ({Problem} at {Method}), so it is denied")]
        public static partial void Failed(ILogger logger, string problem, string method);

        [LoggerMessage(Level = LogLevel.Error, Message = "A decision could not be recorded, so the call is denied")]
        public static partial void NotRecorded(ILogger logger);
    }
}

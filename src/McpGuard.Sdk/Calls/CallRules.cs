using System.Buffers;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Calls;

/// <summary>The rules of a tool call in their order; the first that refuses decides.</summary>
internal sealed partial class CallRules(
    ToolCatalogue catalogue, GuardConnection connection, RevocationFeed feed, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<CallRules> logger)
{
    private static readonly TimeSpan PolicyLimit = TimeSpan.FromSeconds(1), BudgetLimit = TimeSpan.FromSeconds(2);
    private static readonly JsonElement NoArguments = JsonDocument.Parse("{}").RootElement;

    public async ValueTask<Ruling> Tool(Caller caller, McpMessage message, CancellationToken cancellationToken)
    {
        ValidatedToken token = caller.Token;

        // 1. A tool that is here, approved, and as it was approved.
        if (!await catalogue.EnsureCurrent(cancellationToken)) return new(Denial.Unavailable("manifest_unknown"));
        if (message.Text("name") is not { } name || catalogue.Find(name) is not { } tool) return new(Denial.NotInTask("unknown_tool"));
        var ruling = new Ruling { Tool = tool };
        if (tool.Standing == ToolStanding.Drifted) return ruling.But(Denial.Drifted("definition_drifted"));
        if (!tool.Callable) return ruling.But(Denial.NotInTask("tool_not_approved"));
        if (!caller.Confirmed && !(tool.Reads && feed.Age <= options.Value.StaleReadGrace)) return ruling.But(Denial.Unavailable("stale"));

        // 2. The arguments as they will be executed: defaults first, so that an absent one hides nothing.
        JsonElement given = message.Params.TryGetProperty("arguments", out JsonElement there) ? there : NoArguments;
        if (given.ValueKind != JsonValueKind.Object) return ruling.But(Denial.Argument(new Fault(Names.Denials.ArgumentDenied, "The arguments are not an object.")));
        ruling = ruling with { Canonical = Canonical(tool.Schema.FillDefaults(given)) };
        ruling = ruling with { Arguments = Parsed(ruling.Canonical) };
        if (tool.Schema.Validate(ruling.Arguments) is { } invalid) return ruling.But(Denial.Argument(invalid with { Code = "schema" }));

        // 3. Authority, in the token's own form.
        ToolAuthority? held = null;
        if (token.Explicit)
        {
            held = Authorities.Over(token, name);
            if (held is null) return ruling.But(Denial.NotInTask("tool_not_granted"));
            if (!Authorities.Matches(held, tool)) return ruling.But(Denial.Drifted("other_definition_granted"));
            if (held.Denies(ruling.Arguments) is { } denied) return ruling.But(Denial.Argument(denied));
        }
        else if (!Authorities.Scoped(token, tool))
        {
            return ruling.But(Denial.Missing(token, Names.Scopes.ToolPrefix + name));
        }

        // 4. Policy can only narrow. 5. Approval. 6. Budget last: what is spent is spent.
        if (options.Value.Policy is { } policy) ruling = await Ask(policy, token, ruling, cancellationToken);
        if (ruling.Denial is not null) return ruling;
        if (held is { ApprovalRequired: true }) return ruling.But(Denial.Approval);
        if (held is { MaxCalls: not null }) ruling = await Spend(token, ruling, cancellationToken);
        return ruling;
    }

    private async ValueTask<Ruling> Ask(CallPolicy policy, ValidatedToken token, Ruling ruling, CancellationToken cancellationToken)
    {
        var context = new CallContext
        {
            Resource = options.Value.Resource, Tool = ruling.Tool!.Name, Sensitivity = ruling.Tool.Sensitivity, Arguments = ruling.Arguments, Subject = token.Subject,
            SubjectProfile = token.SubjectProfile, Agent = token.Agent, Chain = Array.AsReadOnly(token.Chain), Client = token.ClientId, Instance = token.Instance,
            Assurance = token.Assurance, Task = token.Task, Grant = token.Grant, TokenId = token.Jti, Scopes = token.Scopes, Groups = Array.AsReadOnly(token.Groups),
            Time = time.GetUtcNow(),
        };
        long asked = time.GetTimestamp();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        PolicyVerdict? verdict;
        try
        {
            ValueTask<PolicyVerdict> answer = policy.Decide(context, limit.Token);
            verdict = answer.IsCompletedSuccessfully ? answer.Result : await answer.AsTask().WaitAsync(PolicyLimit, time, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // No decision, no call. The exception's text may quote arguments: its type must do.
            Log.PolicyFailed(logger, e.GetType().Name);
            await limit.CancelAsync();
            return ruling.But(Denial.Policy(e is TimeoutException ? "policy_timeout" : "policy_error"));
        }
        if (verdict is null || time.GetElapsedTime(asked) > PolicyLimit)
        {
            Log.PolicyFailed(logger, verdict is null ? "no verdict" : "too slow");
            return ruling.But(Denial.Policy(verdict is null ? "policy_error" : "policy_timeout"));
        }
        ruling = ruling with { PolicyHash = verdict.PolicyHash, PolicyIds = verdict.PolicyIds };
        return verdict.Allowed ? ruling : ruling.But(Denial.Policy(verdict.Reason ?? "forbidden"));
    }

    private async ValueTask<Ruling> Spend(ValidatedToken token, Ruling ruling, CancellationToken cancellationToken)
    {
        try
        {
            GuardChannel channel = await connection.Channel(cancellationToken);
            BudgetResponse answer = await channel.Spend(new BudgetRequest(token.Jti, ruling.Tool!.Name), cancellationToken).WaitAsync(BudgetLimit, time, cancellationToken);
            return answer.Granted >= 1 ? ruling : ruling.But(Denial.Budget(answer.Reason));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.BudgetUnknown(logger, e.Message);
            return ruling.But(Denial.Unavailable("budget_unknown"));
        }
    }

    private static ReadOnlyMemory<byte> Canonical(JsonElement value)
    {
        var output = new ArrayBufferWriter<byte>(256);
        CanonicalJson.Write(value, output);
        return output.WrittenMemory;
    }

    /// <summary>From the canonical form, so that policy, record and handler have one value and one spelling of it.</summary>
    private static JsonElement Parsed(ReadOnlyMemory<byte> canonical)
    {
        var reader = new Utf8JsonReader(canonical.Span, new JsonReaderOptions { MaxDepth = Limits.JsonDepth });
        return JsonElement.ParseValue(ref reader);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The policy did not decide, so the call is denied: {Problem}")]
        public static partial void PolicyFailed(ILogger logger, string problem);

        [LoggerMessage(Level = LogLevel.Warning, Message = "A call budget could not be spent, so the call is denied: {Reason}")]
        public static partial void BudgetUnknown(ILogger logger, string reason);
    }
}

/// <summary>What the rules found.</summary>
internal sealed record Ruling
{
    public Ruling()
    {
    }

    public Ruling(Denial denial) => Denial = denial;

    public GuardedTool? Tool { get; init; }
    public ReadOnlyMemory<byte> Canonical { get; init; }
    public JsonElement Arguments { get; init; }
    public Denial? Denial { get; init; }
    public string? PolicyHash { get; init; }
    public IReadOnlyList<string>? PolicyIds { get; init; }

    public Ruling But(Denial denial) => this with { Denial = denial };
}

using System.Buffers;
using System.Globalization;
using System.Text.Json;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpGuard.Sdk.DecisionPoints;
using McpGuard.Sdk.Policy;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Calls;

/// <summary>The rules of a tool call in their order; the first that refuses decides.</summary>
internal sealed partial class CallRules(
    ToolCatalogue catalogue, CallRates rates, PolicyDecisions policies, AllDecisionPoints points, Approvals approvals, CallBudgets budgets, RevocationFeed feed, IOptions<McpGuardOptions> options, TimeProvider time,
    ILogger<CallRules> logger)
{
    private static readonly TimeSpan PolicyLimit = TimeSpan.FromSeconds(1);
    private static readonly JsonElement NoArguments = JsonDocument.Parse("{}").RootElement;

    /// <param name="id">The decision's.</param>
    public async ValueTask<Ruling> Tool(Caller caller, McpMessage message, string id, CancellationToken cancellationToken)
    {
        ValidatedToken token = caller.Token;

        // 1. A tool that is here, approved, and as it was approved.
        if (!await catalogue.EnsureCurrent(cancellationToken)) return new(Denial.Unavailable(catalogue.Problem));
        if (message.Text("name") is not { } name || catalogue.Find(name) is not { } tool) return new(Denial.NotInTask("unknown_tool"));
        var ruling = new Ruling { Tool = tool };
        if (tool.Standing == ToolStanding.Drifted) return ruling.But(Denial.Drifted("definition_drifted"));
        if (!tool.Callable) return ruling.But(Denial.NotInTask("tool_not_approved"));
        if (!caller.Confirmed && !(tool.Reads && feed.Age <= options.Value.StaleReadGrace)) return ruling.But(Denial.Unavailable("stale"));

        // 2. The arguments as they will be executed: defaults first, so that an absent one hides nothing.
        JsonElement given = message.Params.TryGetProperty("arguments", out JsonElement there) ? there : NoArguments;
        if (given.ValueKind != JsonValueKind.Object) return ruling.But(Denial.Argument(new Fault(Names.Denials.ArgumentDenied, "The arguments are not an object.")));
        ReadOnlyMemory<byte> canonical = Canonical(tool.Schema.FillDefaults(given));
        if (options.Value.Limits.ArgumentsOf(name) is var most && canonical.Length > most)
            return (ruling with { Canonical = canonical }).But(Denial.Argument(new Fault("too_large", string.Create(CultureInfo.InvariantCulture, $"the arguments are larger than {most} bytes."))));
        ruling = ruling with { Canonical = canonical, Arguments = Parsed(canonical) };
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

        // 4. Rates: what has no authority counts for nothing, so nobody uses up another's; and what is too much costs no policy anything.
        if (rates.Refuse(token, tool) is { } exceeded) return ruling.But(Denial.TooOften(exceeded));

        // 5. Policy can only narrow: the server's, in memory, then other decision points, then the host's own. What no approval can cure is not asked about.
        PolicyFinding finding = policies.Decide(caller, name, ruling.Canonical.Span, id);
        ruling = ruling.By(finding);
        if (ruling.Denial is not null && !finding.ApprovalHelps) return ruling;
        Ruling judged = ruling.Denial is null ? ruling : ruling with { Denial = null };
        if (points.Any) judged = judged.By(await points.Decide(caller, new(id, name, ruling.Canonical, tool.Sensitivity), cancellationToken));
        if (judged.Denial is null && options.Value.Policy is { } policy) judged = await Ask(policy, token, judged, cancellationToken);
        if (judged.Denial is not null) return judged;
        ruling = judged;

        // 6. Approval: by tool, by token or by policy. 7. Budget last: what is spent is spent.
        if (finding.ApprovalHelps || Approvals.Demanded(tool, held)) ruling = await Approved(id, caller, ruling, finding.Hash!, cancellationToken);
        if (ruling.Denial is not null) return ruling;
        if (held is { MaxCalls: not null }) ruling = await Spend(token, ruling, cancellationToken);
        return ruling;
    }

    /// <summary>A person's yes to this very call is used up, and the call decided again with it; else a person is asked.</summary>
    private async ValueTask<Ruling> Approved(string decision, Caller caller, Ruling ruling, string policyHash, CancellationToken cancellationToken)
    {
        ApprovalResponse? answer = await approvals.Ask(decision, caller.Token, ruling, policyHash, cancellationToken);
        switch (answer)
        {
            case { State: ApprovalStates.Used, Id: { } id, By: { } by }:
                PolicyFinding again = policies.Decide(
                    caller, ruling.Tool!.Name, ruling.Canonical.Span, decision, new McpApproval(id, by, answer.At is { } at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null));
                ruling = (ruling with { Denial = null, Approval = id }).By(again);
                // It was a yes under other policies, or to another tool.
                if (ruling.Denial is null && again.Hash != policyHash) return ruling.But(Denial.Unavailable("policy_changed"));
                return ruling.Denial is null && catalogue.Find(ruling.Tool!.Name) is not { Callable: true } ? ruling.But(Denial.Drifted("definition_drifted")) : ruling;
            case { State: ApprovalStates.Waiting }:
                return ruling.But(Denial.Waiting(answer is { Own: true, Id: { } page, Url: { } url } ? new ApprovalPage(page, url) : null));
            case { State: ApprovalStates.Refused }:
                return ruling.But(Denial.NotAsked(answer.Reason));
            default:
                return ruling.But(Denial.Unavailable("approval_unknown"));
        }
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
        // The server's policies are named where there are any: their decision can be made again.
        if (ruling.Policy is null) ruling = ruling with { PolicyHash = verdict.PolicyHash, PolicyIds = verdict.PolicyIds };
        return verdict.Allowed ? ruling : ruling.But(Denial.Policy(verdict.Reason ?? "forbidden"));
    }

    private async ValueTask<Ruling> Spend(ValidatedToken token, Ruling ruling, CancellationToken cancellationToken)
    {
        try
        {
            BudgetResponse answer = await budgets.Spend(token, ruling.Tool!.Name, cancellationToken);
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

    /// <summary>The person's yes that is used up by this.</summary>
    public string? Approval { get; init; }

    /// <summary>What the server's policies said, and what they were asked; null where there are none.</summary>
    public PolicyRecord? Policy { get; init; }

    /// <summary>What the decision points answered; null where there are none, or they were not asked.</summary>
    public IReadOnlyList<(string Name, string Answer)>? Points { get; init; }

    public Ruling But(Denial denial) => this with { Denial = denial };

    /// <summary>With what the server's policies said.</summary>
    public Ruling By(PolicyFinding finding)
    {
        if (finding.Unavailable is { } problem) return But(Denial.Unavailable(problem));
        Ruling told = finding.Record is { } record ? this with { Policy = record, PolicyHash = record.Hash, PolicyIds = record.Ids.Count > 0 ? record.Ids : null } : this;
        return finding.Reason is not { } reason ? told : told.But(finding.ApprovalHelps ? Denial.Approval : Denial.Policy(reason));
    }

    /// <summary>With what the decision points said.</summary>
    public Ruling By(PointsFinding finding)
    {
        Ruling told = this with { Points = finding.Told };
        return finding.Reason is { } reason ? told.But(Denial.Policy(reason)) : told;
    }
}

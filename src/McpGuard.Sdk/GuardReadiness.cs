using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Policy;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk;

/// <summary>Whether calls can be decided and recorded right now, and if not, why.</summary>
internal sealed class GuardReadiness(GuardConnection connection, IssuerKeys keys, RevocationFeed feed, ToolCatalogue catalogue, PolicySource policies, Spool spool)
{
    public const string ClockOff = "clock_off";

    /// <summary>The server approves whatever this process reports: nobody has looked at its tools.</summary>
    public bool Development => catalogue.Development;

    /// <summary>Stable words; empty = ready.</summary>
    public IReadOnlyList<string> Problems()
    {
        var problems = new List<string>();
        if (connection.GuardId is null) problems.Add("not_enrolled");
        if (!keys.Usable) problems.Add("no_issuer_keys");
        if (!feed.Loaded) problems.Add("no_snapshot");
        else if (!feed.Fresh) problems.Add("revocations_stale");
        if (feed.ClockOff) problems.Add(ClockOff);
        if (catalogue.Late) problems.Add(PolicySource.NotAsked);
        if (policies.Current.Problem is { } problem and not PolicySource.NotAsked) problems.Add(problem);
        if (!spool.Healthy) problems.Add("audit_unavailable");
        return problems;
    }
}

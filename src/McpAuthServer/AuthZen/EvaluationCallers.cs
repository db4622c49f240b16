using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.AuthZen;

/// <summary>Who asks for decisions.</summary>
/// <param name="Id">The guard's or the client's.</param>
/// <param name="Own">The tool server it asks for; null: it administers, and may ask about every one.</param>
internal sealed record EvaluationCaller(string Id, ToolServerRecord? Own, RegistrySnapshot Registry)
{
    public bool Administers => Own is null;

    /// <summary>The active tool server of that URI or id, if the caller may ask about it.</summary>
    public ToolServerRecord? Server(string id) =>
        (Registry.ByResource(id) ?? Registry.ToolServers.GetValueOrDefault(id)) is { Active: true } server && (Own is null || Own.Id == server.Id) ? server : null;
}

/// <summary>
/// Authenticates those who may ask: a guard by its own token, a client that administers by its own, or the client that a tool server without a guard is
/// registered as. Every refusal is recorded.
/// </summary>
internal sealed class EvaluationCallers(
    GuardCallers guards, AdminCallers administrators, ClientCallers clients, SigningKeyRing keys, RegistryCache registry, AuditTrail audit, Issuer issuer, TimeProvider time)
{
    private static readonly StrictForm Nothing = StrictForm.Parse([], new HashSet<string>()).Value;

    /// <summary>What is single-use in the request is consumed here: asking changes nothing.</summary>
    public async Task<(EvaluationCaller? Caller, Problem? Refusal)> AuthenticateAsync(HttpContext context, string path)
    {
        var authorization = context.Request.Headers.Authorization;
        if (authorization is [{ } basic] && basic.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
            return await ClientAsync(context);
        if (authorization is [{ } header] && await IsAdministratorsAsync(header, context.RequestAborted))
        {
            var (administrator, refusal) = await administrators.AuthenticateAsync(context, path);
            return administrator is null ? (null, refusal) : (new(administrator.Client, null, await registry.AsOfNow(context.RequestAborted)), null);
        }
        var (guard, error) = await guards.AuthenticateAsync(context, path);
        if (guard is not null)
        {
            var now = await registry.AsOfNow(context.RequestAborted);
            return now.ToolServers.GetValueOrDefault(guard.Server.Id) is { Active: true } server
                ? (new(guard.Guard.Id, server, now), null)
                : (null, Problem.Of(await guards.RefuseAsync(guard, TokenPresenter.Refuse("The guard or its tool server is not active.", "guard_inactive"))));
        }
        return (null, Problem.Of(authorization.Count == 0 ? error! with { Challenge = error!.Challenge + ", Basic realm=\"authzen\"" } : error!));
    }

    /// <summary>A refusal of what the caller asked for, recorded.</summary>
    public async Task<Problem> RefuseAsync(EvaluationCaller caller, Problem problem)
    {
        await RecordAsync(caller, problem.Reason ?? problem.Code);
        return problem;
    }

    /// <summary>Records that somebody asked about what is none of their business.</summary>
    public Task RecordAsync(EvaluationCaller caller, string reason) =>
        audit.RefuseAsync(audit.Refusal(AuditTypes.EvaluationRefused, reason) with { Client = caller.Id, Resource = caller.Own?.Resource }, []);

    private async Task<(EvaluationCaller?, Problem?)> ClientAsync(HttpContext context)
    {
        var snapshot = await registry.AsOfNow(context.RequestAborted);
        var (client, error) = await clients.AuthenticateAsync(context, Nothing, snapshot);
        if (client is null)
            return (null, Problem.Of(error!));
        if (client.Client is { Public: false, Introspects: { } id } && snapshot.ToolServers.GetValueOrDefault(id) is { Active: true } server)
            return (new(client.Id, server, snapshot), null);
        await audit.RefuseAsync(audit.Refusal(AuditTypes.EvaluationRefused, Names.Errors.UnauthorizedClient) with { Client = client.Id }, []);
        return (null, new(StatusCodes.Status403Forbidden, Names.Errors.UnauthorizedClient, "The client is not registered as a tool server's, and does not administer."));
    }

    /// <summary>Only by whom the token is to be judged: whoever that is reads it anew.</summary>
    private async Task<bool> IsAdministratorsAsync(string header, CancellationToken cancel) =>
        header.IndexOf(' ', StringComparison.Ordinal) is > 0 and var blank
        && (await OwnToken.ReadAsync(header[blank..].Trim(), keys, issuer, time.GetUtcNow(), cancel)).TryGet(out var token, out _) && token.Audience == issuer.AdminAudience;
}

using McpAuth.Protocol;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Attestation;
using McpAuthServer.Authorizations;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>A token request after steps 1 and 2: parsed strictly, its client authenticated, its proof verified but not consumed.</summary>
internal sealed class TokenRequest(StrictForm form, AuthenticatedClient client, DpopProof? proof, RegistrySnapshot registry, DateTimeOffset now)
{
    public StrictForm Form { get; } = form;
    public AuthenticatedClient Client { get; } = client;
    public DpopProof? Proof { get; } = proof;
    public RegistrySnapshot Registry { get; } = registry;
    public DateTimeOffset Now { get; } = now;

    /// <summary>What the client's platform says of it, where that is all it came with.</summary>
    public Evidence? Evidence { get; init; }

    /// <summary>What is single-use in the request.</summary>
    public IReadOnlyList<Once> Consume { get; } = (client.Assertion, proof) switch
    {
        ({ } assertion, { } p) => [assertion, Once.Proof(p)],
        ({ } assertion, null) => [assertion],
        (null, { } p) => [Once.Proof(p)],
        _ => [],
    };

    /// <summary>RFC 8707 §2: the one resource, known and active; <paramref name="otherwise"/> when the parameter is absent.</summary>
    public (ToolServerRecord? Target, OAuthError? Error) Target(string? otherwise)
    {
        var resources = Form.Values(Names.Resources.Resource);
        var audiences = Form.Values(Names.Exchange.Audience);
        var named = resources.Concat(audiences).Distinct(StringComparer.Ordinal).ToList();
        if (named.Count > 1)
            return (null, new(Names.Errors.InvalidTarget, "A token has one audience: name one resource."));
        return (named.Count == 1 ? named[0] : otherwise) is { } resource && Registry.Named(resource) is { } target
            ? (target, null)
            : (null, new(Names.Errors.InvalidTarget, "The resource is missing or is no registered tool server."));
    }

    /// <summary>RFC 6749 §6: the scope parameter may ask for less than what is held, never for more; absent = all of it.</summary>
    public Result<IReadOnlyList<string>> Within(IReadOnlyList<string> held, ToolServerRecord server)
    {
        if (Form[Names.OAuth.Scope] is not { } scope)
            return Result<IReadOnlyList<string>>.Of(held);
        var asked = ScopeWords.Split(scope);
        return asked.All(word => ScopeWords.Covers(held, word, server)) && asked.Any(ScopeWords.IsAtResource)
            ? Result<IReadOnlyList<string>>.Of(asked)
            : new Fault(Names.Errors.InvalidScope, "The scope names something that was not granted.");
    }

    /// <summary>The refusal of authorization_details where authority is told in words of scope: they are never passed over (RFC 9396 §6, §8).</summary>
    public OAuthError? DetailsRefused => Form[Names.Resources.AuthorizationDetails] is null ? null
        : new(Names.Errors.InvalidAuthorizationDetails, "A client that is no agent asks by scope.");

    /// <summary>The authorization_details, if any, and the task they name.</summary>
    public Result<(Authority Authority, TaskRequest? Task)>? Details()
    {
        if (Form[Names.Resources.AuthorizationDetails] is not { } text)
            return null;
        var json = StrictJson.Parse(text, new JsonLimits(Limits.TokenBody));
        return json.Ok ? Authority.ParseRequest(json.Value) : new Fault(Names.Errors.InvalidAuthorizationDetails, json.Fault.Message, json.Fault.Path);
    }
}

/// <summary>What a grant makes of a request.</summary>
internal abstract record GrantResult
{
    /// <summary>A token for a tool server.</summary>
    /// <param name="Rotation">Of a refresh token: the presented one and its successor.</param>
    internal sealed record Issue(Issuance Plan, (OpaqueToken Presented, OpaqueToken Successor)? Rotation = null) : GrantResult;

    /// <summary>What a person handed to an agent.</summary>
    internal sealed record IssueDelegated(DelegationPlan Plan) : GrantResult;

    /// <summary>Who a person is, for a program that asked for nothing else.</summary>
    internal sealed record IssueIdentity(IdentityPlan Plan, IdTokenClaims Claims) : GrantResult;

    /// <summary>A code or refresh token came again: what its first use led to is revoked.</summary>
    internal sealed record Reused(Reuse What) : GrantResult;

    /// <summary>A guard's own token for its channels.</summary>
    internal sealed record IssueToGuard(GuardRecord Guard) : GrantResult;

    /// <summary>A token for the administration of this server.</summary>
    internal sealed record IssueToAdministrator(ClientRecord Client, string Thumbprint) : GrantResult;

    internal sealed record Refuse(OAuthError Error) : GrantResult;

    /// <summary>Nothing yet: the client asks again. What was single-use is consumed already, and there is nothing to record.</summary>
    internal sealed record Wait(OAuthError Error) : GrantResult;

    public static implicit operator GrantResult(Issuance plan) => new Issue(plan);

    public static implicit operator GrantResult(OAuthError error) => new Refuse(error);

    public static implicit operator GrantResult(Fault fault) => new Refuse(OAuthError.From(fault));
}

/// <summary>One grant type: it fills in only what is its own (step 3 to 5); parsing, authentication, signing and recording are shared.</summary>
internal interface IGrant
{
    string Type { get; }

    Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel);
}

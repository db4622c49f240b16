using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Keys;
using McpAuthServer.Registry;

namespace McpAuthServer.Tokens;

/// <summary>Signs the access tokens this server issues, all of RFC 9068, their kinds told apart by audience and id prefix.</summary>
internal sealed class AccessTokens(SigningKeyRing keys, Issuer issuer)
{
    /// <summary>For one tool server (wire format: access token).</summary>
    public string Sign(Issuance plan) => keys.Current.Active.Sign(Names.Types.AccessToken, (issuer, plan), static (json, state) => WriteTask(json, state.issuer, state.plan));

    /// <summary>What a person handed to an agent, for the agent's instance to exchange: no guard accepts its audience (wire format: delegation token).</summary>
    public string SignDelegation(DelegationPlan plan) => keys.Current.Active.Sign(Names.Types.AccessToken, json =>
    {
        WriteCommon(json, issuer, issuer.TokenEndpoint, plan.UserId, Names.Claims.ProfileUser, plan.ClientId, plan.IssuedAt, plan.Expires, plan.Jti);
        WritePresence(json, plan.Presence);
        // RFC 8693 §4.4.
        json.WriteStartObject(Names.Claims.MayAct);
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Sub, plan.AgentId);
        json.WriteString(Names.Claims.SubProfile, Names.Claims.ProfileAgent);
        json.WriteEndObject();
        WriteConfirmation(json, plan.Thumbprint, plan.CertificateThumbprint);
        json.WritePropertyName(Names.Claims.AuthorizationDetails);
        plan.Authority.Write(json);
        json.WriteString(Names.Claims.Grant, plan.GrantId);
    });

    /// <summary>For a program to ask again who the person is: its audience is <c>/userinfo</c>, so no guard accepts it.</summary>
    public string SignIdentity(IdentityPlan plan) => keys.Current.Active.Sign(Names.Types.AccessToken, json =>
    {
        WriteCommon(json, issuer, issuer.UserInfo, plan.UserId, Names.Claims.ProfileUser, plan.ClientId, plan.IssuedAt, plan.Expires, plan.Jti);
        json.WriteString(Names.Claims.Scope, plan.Scope);
        WriteConfirmation(json, plan.Thumbprint, plan.CertificateThumbprint);
        json.WriteString(Names.Claims.Grant, plan.GrantId);
    });

    /// <summary>An attested instance's credential at this server; its audience is the token endpoint, so no guard accepts it.</summary>
    public string SignInstance(string agent, string client, InstanceContext instance, string jti, DateTimeOffset now, DateTimeOffset expires) =>
        keys.Current.Active.Sign(Names.Types.AccessToken, json =>
        {
            WriteCommon(json, issuer, issuer.TokenEndpoint, agent, Names.Claims.ProfileAgent, client, now, expires, jti);
            WriteConfirmation(json, instance.Thumbprint, null);
            WriteAgent(json, instance, null);
        });

    /// <summary>A guard's credential on its channels.</summary>
    public string SignGuard(string guard, string thumbprint, string jti, DateTimeOffset now, DateTimeOffset expires) =>
        keys.Current.Active.Sign(Names.Types.AccessToken, json =>
        {
            WriteCommon(json, issuer, issuer.GuardAudience, guard, "guard", guard, now, expires, jti);
            WriteConfirmation(json, thumbprint, null);
        });

    /// <summary>For a client that administers this server; its audience is <c>/admin/api</c>, so no guard accepts it.</summary>
    public string SignAdministrator(string client, string thumbprint, string? certificate, string jti, DateTimeOffset now, DateTimeOffset expires) =>
        keys.Current.Active.Sign(Names.Types.AccessToken, json =>
        {
            WriteCommon(json, issuer, issuer.AdminAudience, client, Names.Claims.ProfileClient, client, now, expires, jti);
            json.WriteString(Names.Claims.Scope, Names.Scopes.Admin);
            WriteConfirmation(json, thumbprint, certificate);
        });

    private static void WriteTask(Utf8JsonWriter json, Issuer issuer, Issuance plan)
    {
        WriteCommon(json, issuer, plan.Target.Resource, plan.Who.Subject, plan.Who.SubjectProfile, plan.Who.Client, plan.IssuedAt, plan.Expires, plan.Jti);
        json.WriteString(Names.Claims.Scope, plan.Scope);
        if (plan.Presence is { } presence)
            WritePresence(json, presence);
        WriteChain(json, issuer, plan.Who.Chain, 0);
        WriteConfirmation(json, plan.Thumbprint, plan.CertificateThumbprint);
        if (plan.ByScope)
            json.WriteBoolean(Names.Claims.StepUp, true);
        else
        {
            json.WritePropertyName(Names.Claims.AuthorizationDetails);
            plan.Authority.Write(json, plan.TaskId);
        }
        json.WriteStartObject(Names.Claims.Task);
        json.WriteString("id", plan.TaskId);
        json.WriteString("issuer", issuer.Value);
        json.WriteNumber("expires_at", plan.TaskExpires.ToUnixTimeSeconds());
        json.WriteEndObject();
        json.WriteString(Names.Claims.Grant, plan.GrantId);
        json.WriteStartArray(Names.Claims.Lineage);
        foreach (var ancestor in plan.Lineage)
            json.WriteStringValue(ancestor);
        json.WriteEndArray();
        WriteAgent(json, plan.Instance, plan.Acting);
    }

    // RFC 9068 §2.2.
    private static void WriteCommon(
        Utf8JsonWriter json, Issuer issuer, string audience, string subject, string profile, string client, DateTimeOffset now, DateTimeOffset expires, string jti)
    {
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Aud, audience);
        json.WriteString(Names.Claims.Sub, subject);
        json.WriteString(Names.Claims.SubProfile, profile);
        json.WriteString(Names.Claims.ClientId, client);
        json.WriteNumber(Names.Claims.Iat, now.ToUnixTimeSeconds());
        json.WriteNumber(Names.Claims.Exp, expires.ToUnixTimeSeconds());
        json.WriteString(Names.Claims.Jti, jti);
    }

    // RFC 9068 §2.2.1, §2.2.3.1.
    private static void WritePresence(Utf8JsonWriter json, Presence presence)
    {
        if (presence.AuthTime is { } time)
            json.WriteNumber(Names.Claims.AuthTime, time.ToUnixTimeSeconds());
        if (presence.Acr is not null)
            json.WriteString(Names.Claims.Acr, presence.Acr);
        if (presence.Groups.Count == 0)
            return;
        json.WriteStartArray(Names.Claims.Groups);
        foreach (var group in presence.Groups)
            json.WriteStringValue(group);
        json.WriteEndArray();
    }

    // RFC 8693 §4.1: the current actor is outermost, prior actors nest.
    private static void WriteChain(Utf8JsonWriter json, Issuer issuer, IReadOnlyList<string> chain, int at)
    {
        if (at == chain.Count)
            return;
        json.WriteStartObject(Names.Claims.Act);
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Sub, chain[at]);
        json.WriteString(Names.Claims.SubProfile, Names.Claims.ProfileAgent);
        WriteChain(json, issuer, chain, at + 1);
        json.WriteEndObject();
    }

    // RFC 9449 §6.1, RFC 8705 §3.1: a token may be bound to both, and then needs both.
    private static void WriteConfirmation(Utf8JsonWriter json, string? key, string? certificate)
    {
        if (key is null && certificate is null)
            return;
        json.WriteStartObject(Names.Claims.Cnf);
        if (key is not null)
            json.WriteString(Names.Claims.Jkt, key);
        if (certificate is not null)
            json.WriteString(Names.Mtls.Thumbprint, certificate);
        json.WriteEndObject();
    }

    /// <summary>Context for policies, never authority: what is known of the agent, and how its instance was attested.</summary>
    private static void WriteAgent(Utf8JsonWriter json, InstanceContext? instance, AgentRecord? agent)
    {
        if (instance is null && agent is null)
            return;
        json.WriteStartObject(Names.Claims.AgentContext);
        if (instance is not null)
        {
            json.WriteString("instance", instance.Id);
            if (instance.Workload is not null)
                json.WriteString("workload", instance.Workload);
            json.WriteString("assurance", instance.Assurance);
        }
        if (agent is not null)
        {
            json.WriteString("owner", agent.Owner);
            if (agent.ToolClass is not null)
                json.WriteString("class", agent.ToolClass);
            if (agent.Review is { } review)
                json.WriteNumber("review_at", review.ToUnixTimeSeconds());
        }
        json.WriteEndObject();
    }
}

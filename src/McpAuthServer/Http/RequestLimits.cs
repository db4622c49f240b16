using System.Net;
using System.Net.Sockets;
using McpAuth.Protocol;
using McpAuthServer.Abuse;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Http;

/// <summary>Metadata of an endpoint: what its requests count as.</summary>
internal sealed record Limited(Limit As);

/// <summary>
/// Counts requests: each by its address before anything else is looked at; then, where a caller has authenticated with a credential, by
/// who it is instead. So nobody uses up another's permits by naming it.
/// </summary>
internal sealed class RequestLimits(RateLimits limits, ClientAddress addresses, AbuseRecord record)
{
    /// <summary>Null: go on. Else the refusal, of which the first in a minute is recorded.</summary>
    public ValueTask<OAuthError?> EnterAsync(HttpContext context, Limit kind)
    {
        var address = addresses.Of(context);
        var permits = limits.OfAddress(address, kind);
        // Pages know no credential that could fail, but for passwords, which are counted by account.
        var authenticates = kind is not (Limit.Authorization or Limit.SignIn or Limit.UserCode);
        if (((authenticates ? permits.Lacks(Limit.FailedAuthentication) : null) ?? permits.Take(kind)) is { } shortage)
            return RefuseAsync(shortage, Text(address, shortage.Permits.Of), null);
        context.Features.Set(permits);
        return default;
    }

    /// <summary>
    /// A client has authenticated. A public client's name proves nothing (RFC 6749 §2.1), and of clients that no administrator registered
    /// somebody may have any number: these stay with their address.
    /// </summary>
    public ValueTask<OAuthError?> AuthenticatedAsync(HttpContext context, AuthenticatedClient client) =>
        client.Method == Names.ClientAssertion.None ? default : CountAsync(context, client.Id, instead: client.Client is null or { Origin: ClientOrigin.Registered });

    /// <summary>An agent or a guard has authenticated. Null: go on.</summary>
    public ValueTask<OAuthError?> AuthenticatedAsync(HttpContext context, string id) => CountAsync(context, id, instead: true);

    /// <param name="instead">Of its address, which gets its permit back.</param>
    private ValueTask<OAuthError?> CountAsync(HttpContext context, string id, bool instead)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Limited>() is not { As: var kind })
            throw new InvalidOperationException("The endpoint says nothing of its limit.");
        // A request that is planned again authenticates again, and is one request.
        if (context.Features.Get<Permits>() is not { } permits)
            return default;
        context.Features.Set<Permits>(null);
        if (instead)
            permits.Return(kind);
        return limits.OfClient(id).Take(kind) is { } shortage ? RefuseAsync(shortage, null, id) : default;
    }

    /// <summary>Somebody has failed to authenticate; the refusal is the caller's.</summary>
    /// <param name="refusal">What it is; to be asked for a nonce is no failure.</param>
    public static void Failed(HttpContext context, OAuthError? refusal = null)
    {
        if (refusal is not { AsksForNonce: true })
            context.Features.Get<Permits>()?.Take(Limit.FailedAuthentication);
    }

    private async ValueTask<OAuthError?> RefuseAsync(Shortage shortage, string? address, string? client)
    {
        await record.ReportAsync(shortage, address, client);
        return OAuthError.TooMany(shortage.Wait);
    }

    private static string Text(IPAddress address, PermitsOf counted)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return address.ToString();
        var length = counted == PermitsOf.Network ? 48 : 64;
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(length / 8).Clear();
        return $"{new IPAddress(bytes)}/{length}";
    }
}

internal static class LimitedEndpoints
{
    /// <summary>Requests are counted as <paramref name="kind"/>; what an endpoint says goes before what its group does.</summary>
    public static TBuilder Limited<TBuilder>(this TBuilder endpoint, Limit kind) where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new Limited(kind));

    /// <summary>After routing and CORS, so that scripts can read the refusal; before anything that costs.</summary>
    public static void UseRateLimits(this IApplicationBuilder app)
    {
        var limits = app.ApplicationServices.GetRequiredService<RequestLimits>();
        app.Use(next => context =>
        {
            if (context.GetEndpoint()?.Metadata is not { } metadata || metadata.GetMetadata<Limited>() is not { As: var kind })
                return next(context);
            var entered = limits.EnterAsync(context, kind);
            return entered is { IsCompletedSuccessfully: true, Result: null } ? next(context) : RefuseAsync(entered, context, metadata.GetMetadata<FailureForm>());
        });
    }

    private static async Task RefuseAsync(ValueTask<OAuthError?> refusal, HttpContext context, FailureForm? form)
    {
        var error = (await refusal)!;
        await (form is null ? error : form.Of(error)).ExecuteAsync(context);
    }
}

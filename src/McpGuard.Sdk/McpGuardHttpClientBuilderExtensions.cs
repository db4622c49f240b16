using McpGuard.Sdk.Downstream;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;

namespace McpGuard.Sdk;

/// <summary>HTTP clients with which tools call other tool servers.</summary>
public static class McpGuardHttpClientBuilderExtensions
{
    /// <summary>
    /// Puts tokens of the running call's own on what this client sends to <paramref name="resource"/> and below it. It needs <c>AddMcpGuard</c>. The client follows no
    /// redirects and keeps no cookies: the one would carry a proof where nobody configured, the other one caller's session into the next one's call.
    /// </summary>
    /// <param name="resource">The other tool server's resource identifier, exactly.</param>
    /// <param name="tools">Which of the tools the registry's edge leads to; none = all of them.</param>
    /// <exception cref="ArgumentException">The resource is neither https nor on loopback, or has a query or a fragment.</exception>
    public static IHttpClientBuilder AddMcpDownstreamTokens(this IHttpClientBuilder builder, string resource, params string[] tools)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(tools);
        _ = new DownstreamAddress(resource);
        // After everything else that is configured: no other handler sees the token, and whatever sends the request is known.
        builder.Services.PostConfigure<HttpClientFactoryOptions>(builder.Name, options => options.HttpMessageHandlerBuilderActions.Add(made =>
        {
            Tame(made.PrimaryHandler);
            made.AdditionalHandlers.Add(new DownstreamHandler(made.Services.GetRequiredService<IDownstreamTokens>(), resource, tools.Length == 0 ? null : tools));
        }));
        return builder;
    }

    private static void Tame(HttpMessageHandler? handler)
    {
        switch (handler)
        {
            case DelegatingHandler outer: Tame(outer.InnerHandler); break;
            case SocketsHttpHandler sockets: (sockets.AllowAutoRedirect, sockets.UseCookies) = (false, false); break;
            case HttpClientHandler client: (client.AllowAutoRedirect, client.UseCookies) = (false, false); break;
        }
    }
}

using System.Web;
using ModelContextProtocol.Authentication;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Samples;

namespace StockClient;

/// <summary>Reads a file and deletes another. Discovery, sign-in, renewal and step-up are the SDK's business.</summary>
internal sealed class Errand(Uri resource, string client, LoopbackBrowser browser)
{
    /// <returns>0 when both calls were allowed in the end.</returns>
    public async Task<int> RunAsync(string read, string delete, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new Refusals(Tell) { InnerHandler = new SocketsHttpHandler { UseCookies = false, UseProxy = !resource.IsLoopback } });
        var options = new HttpClientTransportOptions
        {
            Endpoint = resource,
            TransportMode = HttpTransportMode.StreamableHttp,
            OAuth = new ClientOAuthOptions
            {
                ClientId = client, RedirectUri = browser.RedirectUri, TokenCache = new Tokens(Tell), AuthorizationCallbackHandler = AskAsync,
            },
        };
        await using McpClient mcp = await McpClient.CreateAsync(new HttpClientTransport(options, http), cancellationToken: cancellationToken);
        IList<McpClientTool> tools = await mcp.ListToolsAsync(cancellationToken: cancellationToken);
        Tell($"tools: {string.Join(", ", tools.Select(t => t.Name))}");
        bool both = await CallAsync(mcp, "read_file", read, cancellationToken);
        both &= await CallAsync(mcp, "delete_file", delete, cancellationToken);
        return both ? 0 : 1;
    }

    private async Task<AuthorizationResult?> AskAsync(AuthorizationCallbackContext context, CancellationToken cancellationToken)
    {
        Tell($"asks in the browser for: {HttpUtility.ParseQueryString(context.AuthorizationUri.Query)["scope"]}");
        System.Collections.Specialized.NameValueCollection answer = HttpUtility.ParseQueryString((await browser.Ask(context.AuthorizationUri, cancellationToken)).Query);
        // The SDK compares state and iss.
        return new AuthorizationResult { Code = answer["code"], State = answer["state"], Iss = answer["iss"] };
    }

    private static async Task<bool> CallAsync(McpClient mcp, string tool, string path, CancellationToken cancellationToken)
    {
        CallToolResult result = await mcp.CallToolAsync(tool, new Dictionary<string, object?> { ["path"] = path }, cancellationToken: cancellationToken);
        string text = string.Concat(result.Content.OfType<TextContentBlock>().Select(b => b.Text));
        Tell($"{tool} {path}: {(result.IsError == true ? $"not done: {text}" : $"allowed, {text.Length} characters came back")}");
        return result.IsError != true;
    }

    private static void Tell(string what) => Console.WriteLine($"   client  {what}");

    /// <summary>Shows what the tool server refuses; the SDK acts on it.</summary>
    private sealed class Refusals(Action<string> tell) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
            if ((int)response.StatusCode is 401 or 403)
                tell($"is answered {(int)response.StatusCode}: {string.Join(", ", response.Headers.WwwAuthenticate)}");
            return response;
        }
    }

    /// <summary>Keeps the token for this run; a program of more than one run would keep it in the system's store of secrets.</summary>
    private sealed class Tokens(Action<string> tell) : ITokenCache
    {
        private TokenContainer? held;

        public ValueTask<TokenContainer?> GetTokensAsync(CancellationToken cancellationToken) => new(held);

        public ValueTask StoreTokensAsync(TokenContainer tokens, CancellationToken cancellationToken)
        {
            tell($"has a token, by scope: {tokens.Scope}");
            held = tokens;
            return default;
        }
    }
}

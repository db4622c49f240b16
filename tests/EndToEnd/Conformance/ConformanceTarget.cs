using System.Globalization;
using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;
using ModelContextProtocol.Client;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>
/// What the runner is pointed at: the tool server of <c>tests/ConformanceServer</c> as a process, guarded, an authorization server as another,
/// and between the runner and the guard a proxy with tokens of a registered agent, because the runner sends none.
/// </summary>
public sealed class ConformanceTarget : IAsyncLifetime
{
    private static readonly string[] Reading =
    [
        "json_schema_2020_12_tool", "test_audio_content", "test_elicitation", "test_elicitation_sep1034_defaults", "test_elicitation_sep1330_enums", "test_embedded_resource",
        "test_error_handling", "test_header_argument", "test_image_content", "test_input_required_result_capabilities", "test_input_required_result_elicitation",
        "test_input_required_result_list_roots", "test_input_required_result_multi_round", "test_input_required_result_multiple_inputs",
        "test_input_required_result_request_state", "test_input_required_result_sampling", "test_input_required_result_tampered_state", "test_logging_tool",
        "test_missing_capability", "test_multiple_content_types", "test_sampling", "test_simple_text", "test_streaming_elicitation", "test_tool_with_logging",
        "test_tool_with_progress", "test_transient_tool",
    ];
    private static readonly string[] Writing = ["test_trigger_prompt_change", "test_trigger_tool_change"];
    private static readonly string[] Prompts =
    [
        "test_input_required_result_prompt", "test_prompt_with_arguments", "test_prompt_with_embedded_resource", "test_prompt_with_image", "test_simple_prompt",
        "test_transient_prompt",
    ];

    private readonly TempDirectory state = new();
    private readonly TestAgent runner = new("agt_runner", "conformance-runner");
    private readonly string secret = "enrolment-" + Guid.NewGuid().ToString("N");
    private readonly string address = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");
    private ChildProcess? process;
    private AgentTokens? tokens;
    private TokenProxy? proxy;

    public Deployment Deployment { get; private set; } = null!;

    /// <summary>The guarded endpoint itself: nobody gets in there without a token.</summary>
    public string Resource => address + "/mcp";

    /// <summary>The same behind the proxy.</summary>
    public string Url => proxy!.Address + "/mcp";

    public async Task InitializeAsync()
    {
        // Then every test is skipped, or says what is missing.
        if (!ConformanceRunner.Requirement.Met) return;
        Deployment = await Deployment.StartAsync(postgres: null, nodes: 1, [], Register);
        process = ChildProcess.StartDll(Built.Dll("tests/ConformanceServer"), environment: new Dictionary<string, string?>(GuardedServer.Runtime)
        {
            ["Guard__AuthorizationServer"] = Deployment.Issuer, ["Guard__Resource"] = Resource, ["Guard__EnrolmentSecret"] = secret, ["Guard__StateDirectory"] = state["guard"],
            ["ASPNETCORE_URLS"] = address,
        });
        await process.WaitForHealthAsync(new Uri(address + Names.Paths.HealthReady), Deployment.Patience);
        tokens = new AgentTokens(Deployment.Issuer, runner, Resource, new JsonArray(Authority()));
        proxy = await TokenProxy.StartAsync(address, tokens.CurrentAsync);
        // What does not work at all is told here, not once for every scenario; and the runner, which is impatient, meets a server that is warm.
        await using McpClient client = await McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions { Endpoint = new Uri(Url), TransportMode = HttpTransportMode.StreamableHttp }));
        Assert.NotEmpty((await client.CallToolAsync("test_simple_text")).Content);
    }

    public async Task DisposeAsync()
    {
        if (proxy is not null) await proxy.DisposeAsync();
        tokens?.Dispose();
        if (process is not null) await process.DisposeAsync();
        if (Deployment is not null) await Deployment.DisposeAsync();
        runner.Key.Dispose();
        state.Dispose();
    }

    /// <summary>Everything the tool server has, spelled out (RFC 9396): tools and prompts by name, any resource.</summary>
    private JsonObject Authority() => new()
    {
        ["type"] = Names.Resources.McpToolCall, ["locations"] = new JsonArray(Resource), ["actions"] = new JsonArray("tools/call", "resources/read", "prompts/get"),
        ["tools"] = new JsonObject(Reading.Concat(Writing).Select(t => KeyValuePair.Create(t, (JsonNode?)new JsonObject()))),
        ["resources"] = new JsonArray(new JsonObject { ["constraint_type"] = "wildcard" }), ["prompts"] = new JsonArray([.. Prompts.Select(p => JsonValue.Create(p))]),
    };

    private void Register(JsonObject registry)
    {
        registry["agents"]!.AsArray().Add(new JsonObject
        {
            ["id"] = runner.Id, ["name"] = "Conformance runner", ["owner"] = "usr_ann", ["purpose"] = "Checks a tool server", ["tool_class"] = "conformance",
            ["client_credentials"] = true, ["max_task_seconds"] = 3600, ["ceiling"] = new JsonArray(Authority()), ["hand_off_to"] = new JsonArray(),
        });
        registry["clients"]!.AsArray().Add(new JsonObject
        {
            ["id"] = runner.ClientId, ["name"] = "Conformance runner", ["agent"] = runner.Id, ["auth_method"] = Names.ClientAssertion.PrivateKeyJwt,
            ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(runner.Key.Public.Jwk.GetRawText())) },
            ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials),
        });
        registry["tool_servers"]!.AsArray().Add(new JsonObject
        {
            ["id"] = "srv_conformance", ["resource"] = Resource, ["name"] = "conformance", ["owner"] = "usr_ann", ["enrolment_secrets"] = new JsonArray(secret),
            ["tools"] = new JsonArray([.. Reading.Select(t => Tool(t, "read")), .. Writing.Select(t => Tool(t, "write"))]),
        });

        static JsonObject Tool(string name, string sensitivity) => new() { ["name"] = name, ["sensitivity"] = sensitivity, ["class"] = "conformance" };
    }
}

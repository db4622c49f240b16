using System.Globalization;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpGuard.Gateway.Configuration;

namespace McpGuard.Gateway.Tests;

public sealed class ConfigurationTests : IDisposable
{
    private const string Good = """
        {"listen":"http://127.0.0.1:5090","authorization_server":"https://auth.example","upstreams":{"files":{
          "resource":"https://tools.example/files","enrolment_secret":{"env":"SECRET"},"stdio":{"command":"npx","args":["-y","server"]}}}}
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void FileThatIsRight_IsRead_WithItsDefaults()
    {
        UpstreamConfiguration upstream = Assert.Single(Read(Good).Configuration!.Upstreams);
        Assert.Equal(("files", "/files", TestGateway.Environment("SECRET"), directory["state/files"]), (upstream.Name, upstream.Path, upstream.EnrolmentSecret, upstream.StateDirectory));
        Assert.Equal((TimeSpan.FromSeconds(120), 64, 4 << 20), (upstream.Limits.Call, upstream.Limits.ConcurrentCalls, upstream.Limits.ResultBytes));
        Assert.Equal(directory.Path, upstream.Stdio!.WorkingDirectory);
        Assert.DoesNotContain("GATEWAY_ONLY", upstream.Stdio.Environment.Keys);
    }

    [Theory]
    [InlineData("\"listen\":\"http://127.0.0.1:5090\",", "", "$.listen")]
    [InlineData("http://127.0.0.1:5090", "127.0.0.1:5090", "$.listen")]
    [InlineData("http://127.0.0.1:5090", "http://127.0.0.1:5090/mcp", "$.listen")]
    [InlineData("http://127.0.0.1:5090", "https://127.0.0.1:5090", "$.tls")]
    [InlineData("\"listen\"", "\"tls\":{\"certificate\":\"none.pem\",\"key\":\"none.pem\"},\"listen\"", "$.tls")]
    [InlineData("\"listen\"", "\"lissten\":1,\"listen\"", "$.lissten")]
    [InlineData("\"listen\"", "\"log_level\":\"loud\",\"listen\"", "$.log_level")]
    [InlineData("\"listen\"", "\"metrics\":\"collector\",\"listen\"", "$.metrics")]
    [InlineData("\"listen\"", "\"proxies\":[1],\"listen\"", "$.proxies")]
    [InlineData("\"listen\"", "\"require_dpop_nonce\":\"yes\",\"listen\"", "$.require_dpop_nonce")]
    [InlineData("https://auth.example", "http://auth.example", "$.upstreams.files")]
    [InlineData("https://tools.example/files", "http://tools.example/files", "$.upstreams.files")]
    [InlineData("https://tools.example/files", "files", "$.upstreams.files")]
    [InlineData("\"files\":{", "\"Fi les\":{", "$.upstreams.Fi les")]
    [InlineData("\"command\":\"npx\",", "", "$.upstreams.files.stdio.command")]
    [InlineData("\"command\"", "\"working_directory\":\"nowhere\",\"command\"", "$.upstreams.files.stdio.working_directory")]
    [InlineData("\"command\"", "\"comand\":1,\"command\"", "$.upstreams.files.stdio.comand")]
    [InlineData("\"command\"", "\"env\":{\"A\":{\"env\":\"NOT_SET_ANYWHERE\"}},\"command\"", "$.upstreams.files.stdio.env.A")]
    [InlineData("\"command\"", "\"env\":{\"A\":{\"file\":\"nowhere\"}},\"command\"", "$.upstreams.files.stdio.env.A")]
    [InlineData("\"command\"", "\"env\":{\"A\":{\"env\":\"B\",\"file\":\"C\"}},\"command\"", "$.upstreams.files.stdio.env.A")]
    [InlineData("\"command\"", "\"env\":{\"A\":1},\"command\"", "$.upstreams.files.stdio.env.A")]
    [InlineData("\"args\":[\"-y\",\"server\"]", "\"args\":[1]", "$.upstreams.files.stdio.args")]
    [InlineData("{\"env\":\"SECRET\"}", "\"in the file\"", "$.upstreams.files.enrolment_secret")]
    [InlineData("\"stdio\"", "\"http\":{\"url\":\"http://127.0.0.1:1/mcp\"},\"stdio\"", "$.upstreams.files")]
    [InlineData("\"stdio\":{\"command\":\"npx\",\"args\":[\"-y\",\"server\"]}", "\"limits\":{}", "$.upstreams.files")]
    [InlineData("\"stdio\":{\"command\":\"npx\",\"args\":[\"-y\",\"server\"]}", "\"http\":{\"url\":\"ftp://x\"}", "$.upstreams.files.http.url")]
    [InlineData("\"stdio\":{\"command\":\"npx\",\"args\":[\"-y\",\"server\"]}", "\"http\":{\"url\":\"http://x\",\"headers\":{\"Authorization\":\"Bearer x\"}}", "$.upstreams.files.http.headers.Authorization")]
    [InlineData("\"stdio\"", "\"limits\":{\"call_seconds\":0},\"stdio\"", "$.upstreams.files.limits.call_seconds")]
    [InlineData("\"stdio\"", "\"limits\":{\"result_bytes\":1.5},\"stdio\"", "$.upstreams.files.limits.result_bytes")]
    [InlineData("\"stdio\"", "\"scopes\":[\"offline_access\"],\"stdio\"", "$.upstreams.files")]
    [InlineData("\"stdio\"", "\"path\":\"files/{x}\",\"stdio\"", "$.upstreams.files.path")]
    [InlineData("\"upstreams\":{", "\"upstreams\":{\"more\":{\"resource\":\"https://b.example/files\",\"stdio\":{\"command\":\"x\"}},", "$.upstreams")]
    [InlineData("}}}}", "}}}", null)]
    [InlineData("\"listen\"", "\"LISTEN\":1,\"listen\"", null)]
    public void FileThatIsWrong_IsRefused_AndSaysWhere(string from, string to, string? path)
    {
        Assert.Contains(from, Good, StringComparison.Ordinal);
        (GatewayConfiguration? configuration, IReadOnlyList<Fault> faults) = Read(Good.Replace(from, to, StringComparison.Ordinal));
        Assert.Null(configuration);
        Assert.Contains(faults, f => path is null || f.Path == path);
    }

    [Fact]
    public void Faults_AreToldAllAtOnce_AndQuoteNoSecret()
    {
        (_, IReadOnlyList<Fault> faults) = Read(Good.Replace("\"listen\"", "\"a\":1,\"b\":2,\"listen\"", StringComparison.Ordinal).Replace("{\"env\":\"SECRET\"}", "\"hush-hush\"", StringComparison.Ordinal));
        Assert.Equal(3, faults.Count);
        Assert.DoesNotContain(faults, f => f.ToString().Contains("hush", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Check_SaysWhatIsWrongAndWhere_AndWhatIsRight()
    {
        string file = directory.Write("gateway.json", Good.Replace("\"command\"", "\"comand\"", StringComparison.Ordinal));
        await using (ChildProcess wrong = Run("--config", file, "--check"))
        {
            Assert.Equal(2, await wrong.WaitForExitAsync(Patience));
            Assert.Contains("$.upstreams.files.stdio.comand: There is no such member.", wrong.Text, StringComparison.Ordinal);
            Assert.Contains("$.upstreams.files.stdio.command: This is required.", wrong.Text, StringComparison.Ordinal);
        }
        directory.Write("gateway.json", Good);
        await using ChildProcess right = Run("--config", file, "--check");
        Assert.Equal(0, await right.WaitForExitAsync(Patience));
        Assert.Contains("files at /files", right.Text, StringComparison.Ordinal);
        // Nothing was started, and nothing was left.
        Assert.False(Directory.Exists(directory["state"]));
    }

    [Fact]
    public async Task StateDirectory_OfAnotherProcess_IsSaidPlainly()
    {
        Directory.CreateDirectory(directory["state/files"]);
        using var held = new FileStream(directory["state/files/lock"], FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        await using ChildProcess second = Run("--config", directory.Write("gateway.json", Good.Replace("5090", FreePort.Next().ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)));
        Assert.Equal(1, await second.WaitForExitAsync(Patience));
        Assert.Contains("in use by another process", second.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", second.Text, StringComparison.Ordinal);
    }

    internal static ChildProcess Run(params string[] arguments) => ChildProcess.StartDll(
        Path.Combine(RepositoryRoot.Path, "src", "McpGuard.Gateway", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "McpGuard.Gateway.dll"), arguments);

    private (GatewayConfiguration? Configuration, IReadOnlyList<Fault> Faults) Read(string text) => ConfigurationFile.Read(directory.Write("gateway.json", text), TestGateway.Environment);
}

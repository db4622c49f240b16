using System.Text;
using McpGuard.Gateway.Upstreams;

namespace McpGuard.Gateway.Tests;

public sealed class BoundedLinesTests
{
    private const string Error = ",\"error\":{\"code\":-32603,\"message\":\"The tool server's answer is larger than is allowed.\"}}";

    [Theory]
    [InlineData("""{"result":{"id":5,"a":"LONG"},"jsonrpc":"2.0","id":1000007}""", "1000007")]
    [InlineData("""{"jsonrpc":"2.0","id":1000007,"result":{"id":5,"a":"LONG"}}""", "1000007")]
    [InlineData("""{"jsonrpc":"2.0", "id" : 1000007 , "result":{"content":[{"text":"LONG\"id\":9\\"}]}}""", "1000007")]
    [InlineData("""{"a":"\",\"id\":3,LONG","id":1000007}""", "1000007")]
    [InlineData("""{"jsonrpc":"2.0","id":"text","result":"LONG"}""", null)]
    [InlineData("""{"jsonrpc":"2.0","id":1000007,"method":"sampling/createMessage","params":"LONG"}""", null)]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"LONG","id":3}}""", null)]
    [InlineData("""[{"id":1000007,"a":"LONG"}]""", null)]
    [InlineData("LONG", null)]
    public async Task LineThatIsTooLong_IsThrownAway_AndItsRequestIsToldWhy(string line, string? id)
    {
        string text = "{\"first\":1}\n" + line.Replace("LONG", new string('x', 5000), StringComparison.Ordinal) + "\n{\"last\":1}\n";
        foreach (int chunk in new[] { 1, 7, 4096, 100_000 })
        {
            await using var lines = new BoundedLines(new Dribble(Encoding.UTF8.GetBytes(text), chunk), 1000);
            using var reader = new StreamReader(lines);
            string expected = id is null ? "" : $$"""{"jsonrpc":"2.0","id":{{id}}""" + Error + "\n";
            Assert.Equal("{\"first\":1}\n" + expected + "{\"last\":1}\n", await reader.ReadToEndAsync());
        }
    }

    [Fact]
    public async Task LineThatFits_PassesToTheLastByte_AndOneWithoutAnEndIsNoMessage()
    {
        string fits = new('y', 999);
        await using var lines = new BoundedLines(new Dribble(Encoding.UTF8.GetBytes(fits + "\n\nhalf"), 100), 1000);
        using var reader = new StreamReader(lines);
        Assert.Equal(fits + "\n\n", await reader.ReadToEndAsync());
    }

    /// <summary>Gives a few bytes at a time.</summary>
    private sealed class Dribble(byte[] bytes, int chunk) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..Math.Min(chunk, buffer.Length)], cancellationToken);
    }
}

console.log(process.env.SAYS);
